"""The data card of a labelled registry: its README.md, as the Hugging Face Hub shows it."""

from pathlib import Path

from huggingface_hub import DatasetCard, DatasetCardData

from trialtune.files import atomic_file
from trialtune.labelling.description import REGISTRY, TERMS, Description, Publication
from trialtune.reports.pages import MARKDOWN

DATA_CARD = "README.md"
_SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}


def write_data_card(described: Description, folder: Path) -> None:
    """Write `folder/README.md`, whose header names the parts, so that nobody takes other files for data."""
    data = DatasetCardData(
        language="en",
        annotations_creators=["machine-generated"],
        task_categories=["text-classification"],
        pretty_name=described.name,
        size_categories=[_size(described.summary.trials)],
        tags=["clinical-trials", "trialtune"],
        configs=[{"config_name": "default", "data_files": "labels/*.parquet"}],
        **_license(described.publication),
    )
    text = MARKDOWN.get_template("data_card.md").render(described=described, registry=REGISTRY, terms=TERMS)
    with atomic_file(folder / DATA_CARD) as path:
        DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{text}").save(path)


def _license(given: Publication) -> dict[str, str]:
    """As the Hub has it: its ids are lower case, and other licences are called so."""
    if given.license and given.license_url != given.license:
        return {"license": given.license.lower()}
    named = {"license_name": "of-its-address"} if given.license else {"license_name": "clinicaltrials.gov-terms"}
    return {"license": "other", **named, "license_link": given.license or TERMS}


def _size(trials: int) -> str:
    return next((named for limit, named in _SIZES.items() if trials < limit), "1M<n<10M")
