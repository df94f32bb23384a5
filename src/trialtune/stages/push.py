"""Uploads the output of a command to the Hugging Face Hub."""

from pathlib import Path

from trialtune.classifier.hub import upload_classifier
from trialtune.classifier.named import open_folder
from trialtune.errors import UsageError
from trialtune.labelling.croissant import CROISSANT
from trialtune.labelling.output import RECORD, Labelled
from trialtune.models.hub import ADAPTER_CONFIG, ADAPTER_FILES, Upload
from trialtune.reports.data_card import DATA_CARD
from trialtune.tasks.task import TASK_FILE


def push_to_hub(
    folder: Path | str, name: str, *, private: bool | None = None, token: str | None = None
) -> str:
    """Upload a classifier, an adapter or a labelled registry.

    A classifier and an adapter become a model, which `Classifier.from_pretrained` and `--adapter` open by
    its name; an output of `apply` becomes a data set, whose parts open as
    hf://datasets/OWNER/NAME/labels/FILE. Files that the command did not write are left here. A card that
    stands on the Hub is replaced by the folder's; the Hub keeps the earlier one in its history, and makes
    Croissant metadata of its own, whatever `croissant.json` says.

    Args:
        folder: An output of `finetune`, `export`, `adapt` or `apply`.
        name: OWNER/NAME.
        private: Whether only its owner sees it; default unchanged, or the owner's default for a new one.
        token: A Hub token; default that of `hf auth login`.

    Returns:
        The address of its page.

    Raises:
        UsageError: The folder is not such an output.
        DataError: It is incomplete, or the Hub refused it or cannot be reached.

    Examples:
        >>> from trialtune import Classifier, push_to_hub
        >>> name = f"group/{Classifier.from_pretrained(folder).task.name}"
        >>> push_to_hub(folder, name)  # doctest: +SKIP
        'https://huggingface.co/group/stop-reasons'
    """
    folder = Path(folder)
    if (folder / TASK_FILE).is_file():
        return upload_classifier(open_folder(folder).path, name, private=private, token=token)
    if (folder / ADAPTER_CONFIG).is_file():
        upload = Upload(folder, ADAPTER_FILES, "a trialtune adapter")
    elif (folder / RECORD).is_file():
        parts = (f"labels/{part}" for part in Labelled.open(folder).record["parts"])
        files = (RECORD, DATA_CARD, CROISSANT, *parts)
        upload = Upload(folder, files, "labels by trialtune", repo_type="dataset")
    else:
        raise UsageError(
            f"{folder}: neither a classifier nor an adapter nor an output of `trialtune apply`"
            f" (no {TASK_FILE}, {ADAPTER_CONFIG} or {RECORD})"
        )
    return upload.send(name, private=private, token=token)
