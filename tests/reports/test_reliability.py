"""The reliability diagram shows every bin of every system, and fits the page."""

import numpy as np
import pytest

from trialtune.evaluation.metrics import reliability
from trialtune.reports.reliability import reliability_plot

PNG = b"\x89PNG\r\n\x1a\n"


def bins(power):
    rng = np.random.default_rng(0)
    probabilities = rng.random((2000, 3))
    return reliability(probabilities, rng.random((2000, 3)) < probabilities**power, kind="multi_label")


@pytest.mark.parametrize("names", [["base", "adapted"], ["stop-reasons"]])
def test_draws_each_system(names, tmp_path):
    systems = {name: bins(power) for name, power in zip(names, (1, 2), strict=False)}
    plot = reliability_plot("stop-reasons", systems)
    assert plot.svg().startswith("<svg")
    for name in names:
        assert f"{name} 6,000" in plot.summary
    axes = plot.figure.axes[0]
    assert len(axes.collections) == len(names)
    for drawn, wanted in zip(axes.collections, systems.values(), strict=True):
        expected = [(one.stated, one.observed) for one in wanted]
        np.testing.assert_allclose(drawn.get_offsets(), expected)
    plot.save_png(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)


def test_a_system_without_rows_is_empty():
    assert reliability_plot("x", {"base": [], "adapted": bins(1)}).svg().startswith("<svg")
