"""Closed answers take the API's names, or are none: nothing is made up."""

import pytest

from trialtune.registry.record import enums


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("PHASE1/PHASE2", ["PHASE1", "PHASE2"]),
        ("Phase 2/Phase 3", ["PHASE2", "PHASE3"]),
        ("Phase 1/2", ["PHASE1", "PHASE2"]),
        ("Phase II/III", ["PHASE2", "PHASE3"]),
        ("II-III", ["PHASE2", "PHASE3"]),
        ("PHASE2_PHASE3", ["PHASE2", "PHASE3"]),
        ("PHASE 2-3", ["PHASE2", "PHASE3"]),
        ("Phase 1b", ["PHASE1"]),
        ("Phase 1b/2a", ["PHASE1", "PHASE2"]),
        ("EARLYPHASE1", ["EARLY_PHASE1"]),
        ("EARLY_PHASE1", ["EARLY_PHASE1"]),
        ("Early Phase 1", ["EARLY_PHASE1"]),
        ("Early Phase 1|Phase 1", ["EARLY_PHASE1", "PHASE1"]),
        ("Phase 0", ["EARLY_PHASE1"]),
        ("0.5", ["EARLY_PHASE1"]),
        ("2.0", ["PHASE2"]),
        (2.0, ["PHASE2"]),
        (3, ["PHASE3"]),
        ("1.5", ["PHASE1", "PHASE2"]),
        ("N/A", ["NA"]),
        ("NA", ["NA"]),
        ("Not Applicable", ["NA"]),
        (["PHASE4"], ["PHASE4"]),
        ("['PHASE2', 'PHASE3']", ["PHASE2", "PHASE3"]),
        ("nan", []),
        (float("nan"), []),
        ("", []),
        ("-", []),
    ],
)
def test_phases_take_the_apis_names(cell: object, expected: list[str]) -> None:
    assert enums.read_phases(cell) == (expected, [])


@pytest.mark.parametrize("cell", ["Phase 9", "Phase V", "preclinical", "Phase 2 or so"])
def test_what_is_no_phase_is_named(cell: str) -> None:
    assert enums.read_phases(cell) == ([], [cell])


def test_statuses_are_those_of_the_api() -> None:
    assert enums.status_of("Active, not recruiting") == "ACTIVE_NOT_RECRUITING"
    assert enums.status_of("Unknown status") == "UNKNOWN"
    assert enums.status_of("Not recruiting") is enums.status_of("Authorised") is None
    assert enums.study_type_of("Observational [Patient Registry]") == "OBSERVATIONAL"
    assert enums.study_type_of("Expanded Access:Individual Patients") == "EXPANDED_ACCESS"
    assert enums.study_type_of("N/A") is None


def test_sexes_in_all_their_words() -> None:
    assert {
        enums.sex_of(w) for w in ("Both", "All", "BOTH", "Male and Female", "M/F", "Female: yes Male: yes")
    } == {"ALL"}
    assert {enums.sex_of(word) for word in ("Female", "F", "women", "Females")} == {"FEMALE"}
    assert {enums.sex_of(word) for word in ("NA", "nan", "-", "", "<NA>", None)} == {None}
    assert enums.sex_of("unsure") == "UNSURE"


def test_answers_of_the_design() -> None:
    assert enums.masking_of("None (Open Label)") == enums.masking_of("NONE") == "NONE"
    assert enums.masking_of("Double (Participant, Investigator)") == "DOUBLE"
    assert enums.masking_of("Double Blind") == "DOUBLE"
    assert enums.masking_of("nan") is None
    assert enums.allocation_of("Non-Randomized") == "NON_RANDOMIZED"
    assert enums.allocation_of("N/A") == enums.allocation_of("NA") == "NA"
    assert enums.purpose_of("Supportive Care") == "SUPPORTIVE_CARE"
    assert enums.purpose_of("Educational/Counseling/Training") == "ECT"
    assert enums.enrollment_type_of("Anticipated") == "ESTIMATED"
    assert enums.sponsor_class_of("U.S. Fed") == "FED"
    assert enums.sponsor_class_of("Industry|NIH") is None


@pytest.mark.parametrize(("cell", "expected"), [("70", 70), (70.0, 70), ("1,200", 1200), ("0", 0)])
def test_counts(cell: object, expected: int) -> None:
    assert enums.count_of(cell) == expected


@pytest.mark.parametrize("cell", ["many", "-1", "1.5", True, float("inf"), 10**400, "NA", None])
def test_what_is_no_count(cell: object) -> None:
    assert enums.count_of(cell) is None


def test_yes_and_no() -> None:
    assert {enums.boolean_of(v) for v in (True, "t", "Yes", "TRUE", 1, "Accepts Healthy Volunteers")} == {
        True
    }
    assert {enums.boolean_of(v) for v in (False, "f", "No", "FALSE", 0, "No Results Available")} == {False}
    assert enums.boolean_of("perhaps") is enums.boolean_of("NA") is None
