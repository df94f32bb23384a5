"""The verdict: honest words for every way in which two averages and two tests can fall out."""

from trialtune.evaluation.intervals import Difference, Differences
from trialtune.evaluation.verdict import verdict


def both(micro: Difference, macro: Difference) -> Differences:
    return Differences(micro_f1=micro, macro_f1=macro, per_class={})


def test_metrics_that_disagree_are_both_told():
    up, down = Difference(mean=0.1, low=0.05, high=0.2), Difference(mean=-0.1, low=-0.2, high=-0.05)
    unclear = Difference(mean=0.01, low=-0.1, high=0.1)
    mixed = verdict(both(up, down))
    assert mixed.startswith("The base encoder is better") and "adapted encoder is better in micro-F1" in mixed
    partly = verdict(both(up, unclear))
    assert partly.startswith("The adapted encoder is better: adapted minus base, micro-F1 +0.100")
    assert "no measurable difference in macro-F1" in partly
    assert "micro-F1 +0.100" in verdict(both(up, up), metric="micro_f1").split(" and ")[0]


def test_both_tests_are_needed_and_disagreement_is_told():
    clear = Difference(mean=0.02, low=0.01, high=0.03, p=0.002, p_holm=0.004)
    only_interval = clear.model_copy(update={"p": 0.05, "p_holm": 0.1})
    only_p = clear.model_copy(update={"low": -0.01})
    agreed = verdict(both(clear, clear))
    assert "p 0.004" in agreed and "disagree" not in agreed
    said = verdict(both(only_interval, clear))
    assert said.startswith("The adapted encoder is better: adapted minus base, macro-F1 +0.020")
    assert "no measurable difference in micro-F1" in said
    assert "In micro-F1 the two tests disagree: the interval excludes 0" in said
    said = verdict(both(only_p, only_p))
    assert said.startswith("No measurable difference")
    assert said.count("includes 0") == 2
