"""The result of masked-language-model training, as sentences and as rows of tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trialtune.evaluation.mlm import MlmScores, MlmTraining, Scoring


@dataclass(frozen=True)
class Change:
    """Scores on one text, or on one section of it, before and after training."""

    name: str
    before: MlmScores
    after: MlmScores


@dataclass(frozen=True)
class Adaptation:
    """One adaptation and its result; the unadapted start has only scores."""

    name: str
    new: MlmScores  # scores on held-out text of the new trials
    old: MlmScores | None  # and of the older ones, when monitored
    modules: str | None = None
    rank: int | None = None
    parameters: int | None = None
    tokens: int | None = None
    tokens_per_s: float | None = None


def stage_text(result: MlmTraining) -> str:
    """What a stage trained, how long, how fast, and why it stopped early, if it did."""
    settings, last = result.settings, result.history[-1]
    method = f"LoRA of rank {settings['lora']['r']}, target modules {_modules(result)}"
    sentences = [
        f"{method if result.method == 'lora' else 'All weights'}; "
        f"{result.trainable_parameters:,} trained parameters.",
        f"{last.tokens:,} tokens at {result.tokens_per_s:,.0f} tokens/s, {result.peak_share:.0%} of "
        f"this machine's matrix-product peak; {_duration(result.seconds)} of wall time with scoring.",
    ]
    if result.fresh_head:
        sentences.append("The encoder had no head; a new one was initialized.")
    if result.stopped == "patience":
        patience = settings["train"]["early_stopping_patience"]
        sentences.append(f"Stopped early: no better loss, with a patience of {patience}.")
    elif result.stopped == "max_minutes":
        minutes = settings["train"]["max_minutes"]
        sentences.append(f"Stopped early: its limit of {minutes:g} minutes was reached.")
    if result.kept is not last:
        sentences.append(f"The weights kept are those of step {result.kept_step:,}, which scored best.")
    return " ".join(sentences)


def text_changes(result: MlmTraining) -> list[Change]:
    """Scores of a stage on its own trials and, when monitored, on older ones."""
    before, after = result.history[0], result.kept
    changes = [Change("Its own trials, held out", before, after)]
    if before.old and after.old:
        changes.append(Change("Older trials, held out (forgetting)", before.old, after.old))
    return changes


def section_changes(result: MlmTraining) -> list[Change]:
    """Scores of a stage on each section of its own trials, in reading order; empty when unknown."""
    before, after = (entry.sections for entry in (result.history[0], result.kept))
    return [Change(name, before[name], scores) for name, scores in after.items()]


def older_trials(history: Sequence[Scoring]) -> list[tuple[int, MlmScores]]:
    """(tokens seen, scores on older trials) of every scoring; empty when they are not monitored."""
    return [(entry.tokens, entry.old) for entry in history if entry.old]


def compared(adaptations: Mapping[str, MlmTraining]) -> list[Adaptation]:
    """The unadapted start, common to all, then every adaptation in the order given."""
    start = next(iter(adaptations.values())).history[0]
    return [
        Adaptation("Before adapting", start, start.old),
        *(_adaptation(name, result) for name, result in adaptations.items()),
    ]


def _adaptation(name: str, result: MlmTraining) -> Adaptation:
    lora = result.method == "lora"
    return Adaptation(
        name=name,
        new=result.kept,
        old=result.kept.old,
        modules=_modules(result) if lora else "all weights",
        rank=result.settings["lora"]["r"] if lora else None,
        parameters=result.trainable_parameters,
        tokens=result.kept.tokens,
        tokens_per_s=result.tokens_per_s,
    )


def _modules(result: MlmTraining) -> str:
    return ", ".join(result.settings["lora"]["target_modules"])


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
