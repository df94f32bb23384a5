"""Dates in every form become ISO dates, as exact as they were."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialtune.registry.record.dates import day_comes_first, iso_date, order_is_open


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("January 1994", "1994-01"),
        ("December 12, 2014", "2014-12-12"),
        ("12 Dec 2014", "2014-12-12"),
        ("2014-12-12T00:00", "2014-12-12"),
        ("2014-12-12 00:00:00", "2014-12-12"),
        ("2016-11-30T00:00:00.000Z", "2016-11-30"),
        ("2024-05", "2024-05"),
        ("2024", "2024"),
        ("2015.0", "2015"),
        (2015, "2015"),
        ("12/31/2014", "2014-12-31"),
        ("31/12/2014", "2014-12-31"),
        ("11/30/16", "2016-11-30"),
        ("30/11/16", "2016-11-30"),
        ("06/2016", "2016-06"),
        ("30.4.2017", "2017-04-30"),
        ("30.11.2016", "2016-11-30"),
        ("30.11.16", "2016-11-30"),
        ("15-Jun-15", "2015-06-15"),
        ("15-Jun-2015", "2015-06-15"),
        ("15JUN2015", "2015-06-15"),
        ("Jun-22", "2022-06"),
        ("Jun-98", "1998-06"),
        ("Jun 2022", "2022-06"),
        ("20161130", "2016-11-30"),
        ("201611", "2016-11"),
        (1480464000000, "2016-11-30"),
        ("1480464000", "2016-11-30"),
        ("1480464000000000000", "2016-11-30"),
        (42704, "2016-11-30"),
        ("42704.0", "2016-11-30"),
        ("2014-02-30", "2014-02"),
        (date(2014, 1, 2), "2014-01-02"),
        (datetime(2014, 1, 2, 3, 4), "2014-01-02"),
        (["2014-01-02"], "2014-01-02"),
        ("soon", None),
        ("123456", None),
        ("17", None),
        ("1" * 400, None),
        ("Smarch 2014", "2014"),
        ("0000-01", None),
        ("nan", None),
        ("NaT", None),
        (None, None),
    ],
)
def test_dates_become_iso_and_stay_as_exact_as_given(cell: object, expected: str | None) -> None:
    assert iso_date(cell) == expected


def test_the_column_says_whether_days_come_first() -> None:
    assert day_comes_first(["03/04/2016", "13/04/2016", None, "x"]) is True
    assert day_comes_first(["03/04/2016", "04/13/2016"]) is False
    assert day_comes_first(["03/04/2016"]) is None
    assert day_comes_first(["13/04/2016", "04/13/2016"]) is None
    assert iso_date("03/04/2016", day_first=True) == "2016-04-03"
    assert iso_date("03/04/2016") == "2016-03-04"
    assert order_is_open("03/04/2016")
    assert not order_is_open("03/03/2016")
    assert not order_is_open("13/03/2016")


@given(st.dates(date(1950, 1, 1), date(2049, 12, 31)))
def test_every_form_of_a_day_gives_that_day(day: date) -> None:
    iso = day.isoformat()
    serial = (day - date(1899, 12, 30)).days
    forms = [
        day.strftime(form) for form in ("%Y%m%d", "%d.%m.%Y", "%d-%b-%Y", "%B %d, %Y", "%d%b%Y", "%m/%d/%Y")
    ]
    assert {iso_date(form) for form in [*forms, serial, day, f"{iso}T12:00:00Z"]} == {iso}
