"""Dates in the formats of registries, spreadsheets and statistics programs."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from trialtune.registry.record.text import text_of

# dateutil reads most of these, but silently guesses what is missing (the day from today, the century).
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_TIME = r"(?:[T ,]+\d{1,2}:.*)?"
_ISO = re.compile(rf"(\d{{4}})(?:[-/.](\d{{1,2}})(?:[-/.](\d{{1,2}}))?)?{_TIME}")
_MONTH_FIRST = re.compile(rf"([A-Za-z]{{3,9}})\.?[ ,-]*(?:(\d{{1,2}})(?:st|nd|rd|th)?,? +)?(\d{{4}}){_TIME}")
_DAY_FIRST = re.compile(
    rf"(\d{{1,2}})(?:st|nd|rd|th)?[ ,./-]*([A-Za-z]{{3,9}})\.?[ ,./-]*(\d{{4}}|\d\d){_TIME}"
)
_MONTH_AND_SHORT_YEAR = re.compile(r"([A-Za-z]{3})[- ]'?(\d\d)")  # Excel's "Jun-22"
_DOTS = re.compile(rf"(\d{{1,2}})\.(\d{{1,2}})\.(\d{{4}}|\d\d){_TIME}")
_SLASHES = re.compile(rf"(\d{{1,2}})[/-](\d{{1,2}})[/-](\d{{4}}|\d\d){_TIME}")
_MONTH_SLASH_YEAR = re.compile(r"(\d{1,2})/(\d{4})")
_NUMBER = re.compile(r"\d{4,19}(?:\.0*)?|\d\.\d+[eE]\+?\d{1,2}")

_FIRST_YEAR, _LAST_YEAR = 1900, 2199  # of a bare number
_EXCEL_BEGINS = date(1899, 12, 30)  # day 0 of its serials, including its leap day of 1900
_EXCEL_SERIALS = range(18_264, 73_051)  # 1950 to 2099
_EPOCH_UNITS = ((12, 1), (14, 1_000), (17, 1_000_000), (20, 1_000_000_000))  # by the number of digits
_LAST_SHORT_YEAR = 50  # 00 to 50 are in this century


def iso_date(value: object, *, day_first: bool = False) -> str | None:
    """A date as YYYY-MM-DD, YYYY-MM or YYYY, with the precision given; None when it is not a date.

    Reads ISO dates and times; "January 1994", "December 12, 2014", "12 Dec 2014", 15-Jun-15, Jun-22 (month
    and year), 15JUN2015; 31.12.2014; 12/31/2014 and 12/31/14, month first as the registry's country writes
    it unless `day_first` or unless only the other order is a date; years such as 2015.0, 201511, 20151130,
    days since 1899-12-30 (Excel), and seconds or their thousandths since 1970.
    """
    text = value if type(value) is str else text_of(value)
    return None if text is None else _of_text(text, day_first)


@lru_cache(maxsize=1 << 16)
def _of_text(given: str, day_first: bool) -> str | None:  # cached: a registry has few distinct dates
    text = text_of(given)
    if text is None:
        return None
    if _NUMBER.fullmatch(text):
        return _from_number(int(float(text)))
    if match := _ISO.fullmatch(text):
        return _partial(*match.groups())
    if match := _MONTH_FIRST.fullmatch(text):
        month, day, year = match.groups()
        return _partial(year, _month_number(month), day)
    if match := _DAY_FIRST.fullmatch(text):
        day, month, year = match.groups()
        return _partial(_year(year), _month_number(month), day)
    if match := _MONTH_AND_SHORT_YEAR.fullmatch(text):
        return _partial(_year(match[2]), _month_number(match[1]), None)
    if match := _DOTS.fullmatch(text):
        day, month, year = match.groups()
        return _partial(_year(year), month, day)
    if match := _SLASHES.fullmatch(text):
        first, second, year = match.groups()
        day, month = (first, second) if _day_is_first(first, second, day_first) else (second, first)
        return _partial(_year(year), month, day)
    if match := _MONTH_SLASH_YEAR.fullmatch(text):
        return _partial(match[2], match[1], None)
    return None


def order_is_open(value: object) -> bool:
    """Whether a date could be read day first as well as month first, and the two differ."""
    match = _SLASHES.fullmatch(text_of(value) or "")
    return match is not None and match[1] != match[2] and max(int(match[1]), int(match[2])) <= 12


def day_comes_first(values: Iterable[object]) -> bool | None:
    """The order inferred from the dates of a column; None when there is no evidence, or for both."""
    orders = set()
    for value in values:
        if (match := _SLASHES.fullmatch(text_of(value) or "")) and (int(match[1]) > 12) != (
            int(match[2]) > 12
        ):
            orders.add(int(match[1]) > 12)
    return orders.pop() if len(orders) == 1 else None


def _day_is_first(first: str, second: str, day_first: bool) -> bool:
    return int(first) > 12 if max(int(first), int(second)) > 12 else day_first


def _from_number(number: int) -> str | None:
    digits = str(number)
    if len(digits) == 4:
        return digits if _FIRST_YEAR <= number <= _LAST_YEAR else None
    if number in _EXCEL_SERIALS:
        return (_EXCEL_BEGINS + timedelta(days=number)).isoformat()
    if len(digits) in (6, 8):
        found = _partial(digits[:4], digits[4:6], digits[6:] or None)
        plausible = _FIRST_YEAR <= int(digits[:4]) <= _LAST_YEAR
        return found if plausible and found and len(found.replace("-", "")) == len(digits) else None
    for longest, unit in _EPOCH_UNITS:
        if 9 <= len(digits) < longest:
            return datetime.fromtimestamp(number / unit, UTC).date().isoformat()
    return None


def _year(digits: str) -> str:
    if len(digits) == 4:
        return digits
    return f"20{digits}" if int(digits) <= _LAST_SHORT_YEAR else f"19{digits}"


def _month_number(name: str) -> str | None:
    short = name[:3].lower()
    return str(_MONTHS.index(short) + 1) if short in _MONTHS else None


def _partial(year: str, month: str | None, day: str | None) -> str | None:
    """The longest part of year-month-day that is a date of the calendar."""
    for parts in ((year, month, day), (year, month), (year,)):
        if None in parts:
            continue
        numbers = [int(part or 0) for part in parts]
        try:
            date(*[*numbers, 1, 1][:3])
        except ValueError:
            continue
        return "-".join(f"{n:0{width}d}" for n, width in zip(numbers, (4, 2, 2), strict=False))
    return None
