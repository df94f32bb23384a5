"""AACT's "~" become line breaks; tildes that somebody wrote stay."""

import pytest

from trialtune.registry.record.parse import record_from_row
from trialtune.registry.record.tildes import Tildes


@pytest.mark.parametrize(
    ("text", "new", "old"),
    [
        ("Inclusion:~* Adults~* Ill", "Inclusion:\n* Adults\n* Ill", "Inclusion:\n* Adults\n* Ill"),
        ("aged 14~16", "aged 14\n16", "aged 14~16"),
        ("aged 14 ~ 16", "aged 14 \n 16", "aged 14 ~ 16"),
        ("aged 14\\~16", "aged 14\\~16", "aged 14\\~16"),
        ("a list\\\\~* one", "a list\\\\\n* one", "a list\\\\~* one"),
        ("real\nbreaks, ~5 mg", "real\nbreaks, ~5 mg", "real\nbreaks, ~5 mg"),
        ("none", "none", "none"),
    ],
)
def test_line_breaks(text: str, new: str, old: str) -> None:
    assert Tildes(escaped=True).broken(text) == new
    if "\\\\" not in text:
        assert Tildes(escaped=False).broken(text) == old


@pytest.mark.parametrize(
    ("row", "escaped"),
    [
        ({"phase": "PHASE1/PHASE2"}, True),
        ({"phase": "EARLY_PHASE1"}, True),
        ({"phase": "NA", "overall_status": "ACTIVE_NOT_RECRUITING"}, True),
        ({"phase": None, "study_type": "OBSERVATIONAL"}, True),
        ({"phase": "Phase 1/Phase 2", "overall_status": "Completed"}, False),
        ({"phase": "N/A"}, False),
        ({"overall_status": "Active, not recruiting"}, False),
        ({}, False),
    ],
)
def test_the_answers_tell_the_era(row: dict[str, str], escaped: bool) -> None:
    assert Tildes.of(row).escaped is escaped


def test_only_marked_up_texts_of_aact_have_line_breaks() -> None:
    row = {"nct_id": "NCT01234567", "brief_title": "14~days", "why_stopped": "Slow~No money"}
    aact = {**row, "last_known_status": "", "overall_status": "TERMINATED", "source": "A University"}
    record = record_from_row(aact)
    assert (record["brief_title"], record["why_stopped"]) == ("14~days", "Slow\nNo money")
    assert (record["lead_sponsor"], record["source"]) == ("A University", None)
    record = record_from_row({**row, "source": "a file"})
    assert (record["why_stopped"], record["source"]) == ("Slow~No money", "a file")
