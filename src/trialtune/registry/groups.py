"""The groups of trials used in all counts; a trial of several countries counts in each."""

from collections.abc import Mapping

NOT_GIVEN = "not given"
#: Groups in which a trial may count more than once, so that their counts may sum to more than the trials.
SEVERAL = frozenset({"country"})
#: Group -> DuckDB expression of its values in a snapshot; lists have one value per item.
VALUES: Mapping[str, str] = {
    "year": "left(start_date, 4)",
    "phase": "array_to_string(phases, '/')",
    "status": "overall_status",
    "sex": "sex",
    "study_type": "study_type",
    "sponsor_class": "sponsor_class",
    "country": "countries",
}
#: Group -> the column of a snapshot that it is derived from, where that has another name.
COLUMNS: Mapping[str, str] = {
    "year": "start_date",
    "phase": "phases",
    "status": "overall_status",
    "country": "countries",
}


def kinds_of(group: str, value: str) -> str:
    """SQL of the groups that a trial counts in, one row each, from the SQL of the group's values."""
    if group in SEVERAL:
        return f"unnest(case when len({value}) > 0 then {value} else ['{NOT_GIVEN}'] end)"
    return f"coalesce(nullif({value}, ''), '{NOT_GIVEN}')"
