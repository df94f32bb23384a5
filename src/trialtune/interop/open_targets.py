"""Open Targets' stop reasons, in the form its pipeline uses.

The function here replaces the one of the same name in `src/pts/pyspark/clinical_report.py` of
https://github.com/opentargets/pts (read at commit 099128b95deee2e7404447516a3854d62fdc28af; since then in
https://github.com/opentargets/pipeline), which puts the 17 labels of
https://huggingface.co/opentargets/clinical_trial_stop_reasons into `trialStopReasonCategories`.
"""

from collections.abc import Iterable
from pathlib import Path

from trialtune.classifier.classifier import Classifier
from trialtune.errors import UsageError
from trialtune.tasks.stop_reasons.task import STOP_REASONS

#: The column of Open Targets' clinical reports that holds the predictions.
COLUMN = "trialStopReasonCategories"
#: The value for a text without any label.
UNCATEGORISED = "Uncategorised"


def predict_trial_stop_reasons(
    texts: Iterable[str],
    threshold: float | None = None,
    *,
    classifier: Classifier | str | Path = STOP_REASONS.name,
    batch_size: int | None = None,
) -> list[list[str]]:
    """Why trials stopped, text by text, for the column `trialStopReasonCategories`.

    The original takes `texts`, `model_name`, `threshold=0.3` and `batch_size=32`, gives every label whose
    sigmoid reaches the threshold, and `["Uncategorised"]` where none does. Labels are spelled as there, and
    come in the order of the task; the original's come in that of its model.

    Args:
        texts: Stop reasons as in the registry (`why_stopped`).
        threshold: None: the classifier's own rule, a tuned threshold per label. A number:
            every label whose calibrated probability reaches it, as the original does. (Its 0.3 is for its
            own model, which is not calibrated.)
        classifier: An opened classifier, which saves opening it at each call, or its name or folder.
        batch_size: Accepted for compatibility and ignored: batches are formed by length.

    Returns:
        A list of labels per text, in order, never empty: `["Uncategorised"]` for none, and for an empty text.

    Raises:
        DataError: The classifier cannot be opened.
        UsageError: It is for another task, `threshold` is invalid, or something other than texts was given.

    Examples:
        >>> from trialtune.interop.open_targets import COLUMN, predict_trial_stop_reasons
        >>> reasons = predict_trial_stop_reasons(["Slow accrual", ""], classifier=folder)
        >>> reasons[1]
        ['Uncategorised']
    """
    opened = classifier if isinstance(classifier, Classifier) else Classifier.from_pretrained(classifier)
    if opened.task.name != STOP_REASONS.name:
        raise UsageError(
            f"the classifier {opened.folder} is for the task {opened.task.name}, not {STOP_REASONS.name}"
        )
    if threshold is None:
        found = [list(one.labels or ()) for one in opened.predict(texts)]
    elif not 0 <= threshold <= 1:
        raise UsageError(f"threshold {threshold!r} is not a probability; give a number from 0 to 1, or None")
    else:
        # For an empty text every probability is NaN, which reaches no threshold.
        reached = opened.predict_proba(texts) >= threshold
        found = [[name for name, given in zip(opened.labels, row, strict=True) if given] for row in reached]
    return [labels or [UNCATEGORISED] for labels in found]
