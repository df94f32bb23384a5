"""Training in words and rows: only what is known is said."""

import pytest

from trialtune.reports.training import compared, older_trials, section_changes, stage_text, text_changes


def test_a_stage_says_what_it_trained_how_long_and_how_fast(run) -> None:
    assert stage_text(run.mlm["query-value"]) == (
        "LoRA of rank 8, target modules query, value; 442,368 trained parameters. "
        "819,200 tokens at 4,210 tokens/s, 34% of this machine's matrix-product peak; "
        "3.2 minutes of wall time with scoring."
    )
    assert stage_text(run.mlm["base"]).startswith("All weights; 22,700,000 trained parameters.")
    assert stage_text(run.mlm["base"]).endswith("The encoder had no head; a new one was initialized.")


def test_a_long_stage_is_told_in_hours(run) -> None:
    assert "2.5 hours of wall time" in stage_text(run.mlm["adapt"].model_copy(update={"seconds": 9000}))


@pytest.mark.parametrize(
    ("reason", "limit", "text"),
    [
        ("patience", {"early_stopping_patience": 3}, "Stopped early: no better loss, with a patience of 3."),
        ("max_minutes", {"max_minutes": 30.0}, "Stopped early: its limit of 30 minutes was reached."),
    ],
)
def test_why_a_stage_stopped_early(run, edited, reason, limit, text) -> None:
    result = edited(run.mlm["adapt"], "settings", "train", to=limit)
    assert text in stage_text(result.model_copy(update={"stopped": reason}))
    assert "Stopped early" not in stage_text(result)


def test_with_patience_the_best_scoring_counts(run) -> None:
    result = run.mlm["adapt"].model_copy(update={"kept_step": 160})
    assert "The weights kept are those of step 160, which scored best." in stage_text(result)
    best = result.history[4]
    assert [change.after for change in text_changes(result)] == [best, best.old]
    assert section_changes(result)[0].after == best.sections["Title"]
    assert compared({"adapt": result})[-1].new == best
    assert "weights kept" not in stage_text(run.mlm["adapt"])


def test_sections_before_and_after(run) -> None:
    result = run.mlm["adapt"]
    changes = section_changes(result)
    assert [change.name for change in changes] == ["Title", "Summary", "Eligibility"]
    assert [change.after.masked for change in changes] == [311, 1204, 2870]
    assert changes[0].before == result.history[0].sections["Title"]
    assert changes[0].after == result.history[-1].sections["Title"]


def test_older_trials_at_every_scoring(run) -> None:
    history = run.mlm["adapt"].history
    assert [tokens for tokens, _ in older_trials(history)] == [entry.tokens for entry in history]
    assert older_trials(run.mlm["base"].history) == []


def test_adaptations_beside_their_common_start(run) -> None:
    mlm = run.mlm
    start, *rows = compared({name: mlm[name] for name in ("adapt", "query-value")})
    assert start.new == mlm["adapt"].history[0]
    assert start.old == mlm["adapt"].history[0].old
    assert start.rank is start.tokens is None
    assert [(row.name, row.modules, row.rank) for row in rows] == [
        ("adapt", "all-linear", 16),
        ("query-value", "query, value", 8),
    ]
    assert rows[1].old == mlm["query-value"].forgetting.after


def test_a_variant_may_train_all_weights_and_watch_no_older_trials(run) -> None:
    row = compared({"whole": run.mlm["base"]})[-1]
    assert (row.modules, row.rank, row.old) == ("all weights", None, None)
