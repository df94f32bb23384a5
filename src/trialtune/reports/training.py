"""What masked-language-model training did, as sentences and as rows of tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """Scores on one text, or on one section of it, before and after training."""

    name: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class Adaptation:
    """One way to adapt and how it ended; the un-adapted start has scores alone."""

    name: str
    new: Mapping[str, Any]  # scores on held-out text of the new trials
    old: Mapping[str, Any] | None  # and of the older ones, when they are watched
    modules: str | None = None
    rank: int | None = None
    parameters: int | None = None
    tokens: int | None = None
    tokens_per_s: float | None = None


def stage_text(result: Mapping[str, Any]) -> str:
    """What a stage trained, how long, how fast, and why it ended before its time, if it did."""
    method = "All weights"
    if result["method"] == "lora":
        lora = _settings(result, "lora")
        rank = f" of rank {lora['r']}, target modules {_modules(result)}" if lora else ""
        method = f"LoRA{rank}"
    sentences = [
        f"{method}; {result['trainable_parameters']:,} trained parameters.",
        f"{_speed(result)}; {_duration(result['seconds'])} of wall time with scoring.",
        "The encoder had no head and got a fresh one." if result["fresh_head"] else "",
        _early_stop(result),
        _kept_step(result),
    ]
    return " ".join(filter(None, sentences))


def text_changes(result: Mapping[str, Any]) -> list[Change]:
    """What a stage did to its own trials and, when they are watched, to older ones."""
    history = result["history"]
    changes = [Change("Its own trials, held out", history[0], history[-1])]
    if old := older_trials(result):
        changes.append(Change("Older trials, held out (forgetting)", old[0][1], old[-1][1]))
    return changes


def section_changes(result: Mapping[str, Any]) -> list[Change]:
    """What a stage did to each section of its own trials, in reading order; empty when unknown."""
    before, after = (result["history"][place].get("sections") or {} for place in (0, -1))
    return [Change(name, before[name], scores) for name, scores in after.items() if name in before]


def older_trials(result: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """(tokens seen, scores on older trials): at every scoring, or before and after where no more is known."""
    history, forgetting = result["history"], result.get("forgetting")
    if all(entry.get("old") for entry in history):
        return [(entry["tokens"], entry["old"]) for entry in history]
    if forgetting:
        return [
            (history[0]["tokens"], forgetting["before"]),
            (history[-1]["tokens"], forgetting["after"]),
        ]
    return []


def compared(adaptations: Mapping[str, Mapping[str, Any]]) -> list[Adaptation]:
    """The un-adapted start, which all share, then every adaptation in the order given."""
    first = next(iter(adaptations.values()))
    start = Adaptation("Before adapting", first["history"][0], _older(first, 0))
    return [start, *(_adaptation(name, result) for name, result in adaptations.items())]


def _adaptation(name: str, result: Mapping[str, Any]) -> Adaptation:
    last = result["history"][-1]
    lora = result["method"] == "lora"
    return Adaptation(
        name=name,
        new=last,
        old=_older(result, -1),
        modules=_modules(result) if lora else "all weights",
        rank=_settings(result, "lora").get("r") if lora else None,
        parameters=result["trainable_parameters"],
        tokens=last["tokens"],
        tokens_per_s=result["tokens_per_s"],
    )


def _older(result: Mapping[str, Any], place: int) -> Mapping[str, Any] | None:
    old = older_trials(result)
    return old[place][1] if old else None


def _settings(result: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    settings: Mapping[str, Any] = result.get("settings", {}).get(part, {})
    return settings


def _modules(result: Mapping[str, Any]) -> str | None:
    return ", ".join(_settings(result, "lora").get("target_modules", ())) or None


def _speed(result: Mapping[str, Any]) -> str:
    tokens = result["history"][-1]["tokens"]
    text = f"{tokens:,} tokens at {result['tokens_per_s']:,.0f} tokens/s"
    share = result.get("peak_share")
    return f"{text}, {share:.0%} of this machine's matrix-product peak" if share else text


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _early_stop(result: Mapping[str, Any]) -> str:
    limits = _settings(result, "train")
    if result.get("stopped") == "patience":
        return f"Stopped early: no better loss, with a patience of {limits['patience']}."
    if result.get("stopped") == "max_minutes":
        return f"Stopped early: its limit of {limits['max_minutes']:g} minutes was reached."
    return ""


def _kept_step(result: Mapping[str, Any]) -> str:
    """With patience the best weights are kept, and those need not be the ones scored last."""
    history = result["history"]
    if not _settings(result, "train").get("patience"):
        return ""
    best = min(history, key=lambda entry: entry["loss"])
    if best is history[-1]:
        return ""
    return f"The weights kept are those of step {best['step']:,}, the best scoring; “after” is the last one."
