"""Plots say what they show, come out the same each time, and stand odd numbers and names."""

import math
from xml.etree import ElementTree

import pytest

from trialtune.evaluation.mlm_result import MlmTraining, Scoring
from trialtune.reports.colors import COLORS
from trialtune.reports.plots import (
    Plot,
    adaptation_losses,
    class_bars,
    class_differences,
    learning_curves,
    trials_by_year,
)


def with_losses(result: MlmTraining, losses: list[float]) -> MlmTraining:
    """The training with a history of these losses."""
    history = [
        Scoring(
            step=step,
            epoch=step,
            tokens=100 * step,
            train_loss=None,
            accuracy=0.1,
            loss=loss,
            perplexity=math.exp(loss),
            masked=9,
            sections={},
        )
        for step, loss in enumerate(losses)
    ]
    return result.model_copy(update={"history": tuple(history)})


def test_an_svg_takes_its_colors_from_the_page_and_keeps_text_as_text(run) -> None:
    svg = class_bars("sex", run.tasks["sex"]).svg()
    assert ElementTree.fromstring(svg.replace("xlink:href", "href")).tag == "svg"
    assert "var(--adapted)" in svg
    assert not any(color in svg for color in COLORS.values())
    assert ">FEMALE</text>" in svg


def test_equal_numbers_give_equal_svg(run) -> None:
    first, second = (class_differences("sex", run.tasks["sex"]).svg() for _ in range(2))
    assert first == second


def test_a_class_name_is_neither_markup_nor_mathematics(run, edited) -> None:
    comparison, name = run.tasks["stop-reasons"], "$\\frac{ <b>"
    for system, scores in comparison.systems:
        first = scores.per_class["Another_Study"]
        comparison = edited(comparison, "systems", system, "per_class", name, to=first)
    comparison = edited(comparison, "labels", 0, to=name)
    assert "$\\frac{ &lt;b&gt;</text>" in class_bars("x", comparison).svg()


def test_a_class_without_examples_is_named_so(run) -> None:
    for plot in (class_bars, class_differences):
        assert "no examples" in plot("x", run.tasks["stop-reasons"]).svg()


@pytest.mark.parametrize("losses", [[3.0], [3.0, math.nan], [300.0, 2.0], [0.0, 0.0]])
def test_a_history_may_be_short_flat_steep_or_broken(run, losses, tmp_path) -> None:
    for plot in learning_curves("adapt", with_losses(run.mlm["adapt"], losses)):
        assert plot.svg().startswith("<svg")
        plot.save_png(tmp_path / f"{plot.name}.png")
    assert len(list(tmp_path.iterdir())) == 3


def test_perplexity_over_orders_of_magnitude_gets_a_log_scale(run) -> None:
    plot = learning_curves("base", with_losses(run.mlm["base"], [10.0, 4.0]))[2]
    assert "log scale" in plot.summary


def dashed(plot: Plot) -> list[float]:
    """Tokens at the points of the dashed line."""
    (line,) = (line for line in plot.figure.axes[0].lines if line.get_linestyle() == "--")
    return list(line.get_xdata())


def test_the_forgetting_line_has_every_scoring(run) -> None:
    result = run.mlm["adapt"]
    tokens = [entry.tokens for entry in result.history]
    for plot in learning_curves("adapt", result):
        assert dashed(plot) == tokens


def test_no_older_trials_no_forgetting_line(run) -> None:
    plot = learning_curves("base", run.mlm["base"])[0]
    assert "Older trials" not in plot.svg()


def test_every_adaptation_has_a_line_of_its_own(run) -> None:
    names = ["adapt", "_hidden", "$\\frac{ <b>", "a long name that goes on and on", *"abcdefgh"]
    plot = adaptation_losses(dict.fromkeys(names, run.mlm["adapt"]))
    lines = plot.figure.axes[0].lines
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}
    assert len(looks) == len(lines) == len(names)
    svg = plot.svg()
    assert ">_hidden</text>" in svg
    assert "$\\frac{ &lt;b&gt;</text>" in svg
    assert ">a long name that goes on …</text>" in svg
    assert not any(color in svg for color in COLORS.values())


def test_years_without_trials_leave_a_gap() -> None:
    plot = trials_by_year({"1999": {"base": 3}, "2004": {"new": 2}})
    assert plot.summary == "Trials by start year, 1999 to 2004: base and new."
