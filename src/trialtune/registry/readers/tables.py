"""Rows of CSV and Parquet tables: one trial per row, with columns under various names."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path, PurePath
from typing import Any, TextIO

import pyarrow as pa

from trialtune.errors import DataError
from trialtune.registry.readers.delimited import Broken, Cells, DelimitedRows, unescaped
from trialtune.registry.readers.parquet import open_parquet
from trialtune.registry.readers.reading import Reading
from trialtune.registry.readers.text import undecodable
from trialtune.registry.record.aliases import columns_of, table_columns
from trialtune.registry.record.dates import day_comes_first
from trialtune.registry.record.notes import Notes
from trialtune.registry.record.parse import TableForm, record_from_row
from trialtune.registry.record.row import Row, bad_row, record_row
from trialtune.registry.record.schema import DATE_COLUMNS
from trialtune.registry.record.tildes import Tildes
from trialtune.registry.record.validate import is_nct_id

_BATCH_ROWS = 500
_LOOKED_AT = 1_000  # rows examined for the order of a column's dates and the format of its texts

# The API's CSV, whose header is on the first page only, and the site's download.
# https://clinicaltrials.gov/data-api/about-api/csv-download
SITE_HEADER = tuple(
    "NCT Number,Study Title,Study URL,Acronym,Study Status,Brief Summary,Study Results,Conditions,"
    "Interventions,Primary Outcome Measures,Secondary Outcome Measures,Other Outcome Measures,Sponsor,"
    "Collaborators,Sex,Age,Phases,Enrollment,Funder Type,Study Type,Study Design,Other IDs,Start Date,"
    "Primary Completion Date,Completion Date,First Posted,Results First Posted,Last Update Posted,Locations,"
    "Study Documents".split(",")
)


def csv_rows(text: TextIO, label: str, reading: Reading, *, tabs: bool) -> Iterator[Row]:
    """One row per record of delimited text with a header; rows are numbered from 1 below the header.

    A file without a header uses that of an earlier one with as many columns, or is read as a page of the
    API's CSV. Raises DataError when there is none, or no column of NCT ids.
    """
    rows = DelimitedRows(text, tabs=tabs)
    parsed = iter(rows)
    header = next(parsed, None)
    if header is None:
        raise DataError(f"{label}: the file is empty; a header with an NCT id column is expected")
    if isinstance(header, Broken):
        raise DataError(f"{label}: the header cannot be read ({header.reason}); save the file as plain CSV")
    first = next(parsed, None)
    if all(is_nct_id(cell) for cell in header if cell.strip()):
        raise only_ids(label)
    if any(map(is_nct_id, header)):
        parsed = chain([header], [] if first is None else [first], parsed)
        names = list(_known_header(header, label, reading))
    else:
        names = _named(header, first if isinstance(first, list) else [], label)
        reading.headers[len(names)] = names
        parsed = parsed if first is None else chain([first], parsed)
    _tell_aact(names, label, reading)
    rows.expect(len(names), names.index(columns_of(tuple(names))["nct_id"]))
    head = list(islice(parsed, _LOOKED_AT))
    good = [cells for cells in head if isinstance(cells, list) and len(cells) == len(names)]
    if rows.delimiter == "\t" and any("\\N" in cells for cells in good):
        rows.escaped = True
        head = [list(map(unescaped, cells)) if isinstance(cells, list) else cells for cells in head]
    form = table_form({name: column for name, *column in zip(names, *good, strict=True)})
    _tell_only_ids(names, form, label)
    for number, cells in enumerate(chain(head, parsed), start=1):
        yield _row(label, number, names, cells, form)


def _row(label: str, number: int, names: list[str], cells: Cells | Broken, form: TableForm) -> Row:
    if isinstance(cells, Broken):
        return bad_row(label, number, f"broken CSV: {cells.reason}", {"text": cells.text})
    if reason := undecodable("".join(cells)):
        return bad_row(label, number, reason, dict(zip(names, cells, strict=False)))
    # Spreadsheets leave empty cells after the last.
    while len(cells) > len(names) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(names):
        reason = f"wrong number of cells: {len(cells)}, but the header has {len(names)}; check the quotes"
        return bad_row(label, number, reason, dict(zip(names, cells, strict=False)))
    notes = Notes()
    record = record_from_row(dict(zip(names, cells, strict=True)), notes, form)
    return record_row(label, number, record, notes)


def table_form(columns: Mapping[str, Sequence[object]]) -> TableForm:
    """The format of a table's columns, inferred from its first rows."""
    found = table_columns(tuple(columns))
    orders = {name: day_comes_first(columns[found.used[name]]) for name in DATE_COLUMNS if name in found.used}
    tildes = None
    if found.is_aact:
        first = {name: next((cell for cell in cells if cell), None) for name, cells in columns.items()}
        tildes = Tildes.of(first)
    return TableForm({name: order for name, order in orders.items() if order is not None}, tildes, found)


def parquet_rows(path: Path, label: str, reading: Reading) -> Iterator[Row]:
    """One row per Parquet row, numbered from 1.

    Raises DataError when the file is not Parquet or has no column of NCT ids.
    """
    try:
        with open_parquet(path) as file:
            names = file.schema_arrow.names
            head = next(file.iter_batches(_LOOKED_AT, columns=_scalar_names(file.schema_arrow)), None)
            known = {} if head is None else columns_as_lists(head)
            first = {name: cells[0] for name, cells in known.items() if cells}
            renamed = dict(zip(names, _parquet_names(file.schema_arrow, first, label), strict=True))
            form = table_form({renamed[name]: known.get(name, ()) for name in names})
            wanted = [
                name
                for name in names
                if _is_wanted(renamed[name], file.schema_arrow.field(name), form)
                or '"protocolSection"' in str(first.get(name))
            ]
            if len(wanted) == 1:
                _tell_only_ids([renamed[name] for name in wanted], form, label)
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
                cells = {renamed[name]: values for name, values in columns_as_lists(batch).items()}
                for row in zip(*cells.values(), strict=True):
                    number += 1
                    notes = Notes()
                    record = record_from_row(dict(zip(cells, row, strict=True)), notes, form)
                    yield record_row(label, number, record, notes)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a readable Parquet file ({error}); download or write the file again"
        ) from error


def _tell_aact(names: Sequence[str], label: str, reading: Reading) -> None:
    """Warn of what one AACT table lacks without the others; DataError for one with many rows per trial."""
    plain = {name.strip().lower() for name in names}
    many = next((table for table, marks in _AACT_MANY.items() if {"id", "nct_id", *marks} <= plain), None)
    if many is not None:
        raise DataError(
            f"{label}: this is AACT's table {many}, which has many rows per trial and no titles; put studies"
            " and the others in the same folder and give the folder"
        )
    if table_columns(tuple(names)).is_aact and not plain & {"criteria", "description"}:
        reading.findings.warn(
            f"{label}: this is AACT's table studies alone; summaries, criteria, conditions, interventions and"
            " sponsors are in others: put them in the same folder and give the folder"
        )
    elif {"id", "nct_id", "criteria", "gender"} <= plain or plain == {"id", "nct_id", "description"}:
        reading.findings.warn(
            f"{label}: this is a single AACT table, without titles; put studies and the others in the"
            " same folder and give the folder"
        )


# Columns that identify an AACT table with several rows per trial.
_AACT_MANY: dict[str, set[str]] = {
    "conditions or keywords": {"name", "downcase_name"},
    "interventions": {"intervention_type", "name"},
    "design_groups": {"group_type", "title"},
    "design_outcomes": {"outcome_type", "measure"},
    "sponsors": {"agency_class", "lead_or_collaborator"},
    "id_information": {"id_type", "id_value"},
    "countries": {"name", "removed"},
}


def _is_wanted(name: str, field: pa.Field, form: TableForm) -> bool:
    """Whether a column holds trial data: a field, objects, or a study as JSON."""
    assert form.columns is not None
    by_name = name in form.columns.used.values() or name.startswith("protocolSection")
    return by_name or pa.types.is_struct(field.type) or "nct_id" not in form.columns.used


def id_column(names: Iterable[str], first_row: Mapping[str, object]) -> str | None:
    """The column that holds NCT ids: by its name, else the first one whose first cell is an id."""
    named = columns_of(tuple(names)).get("nct_id")
    if named is not None:
        return named
    return next((name for name, value in first_row.items() if is_nct_id(value)), None)


def only_ids(label: str, others: Sequence[str] = ()) -> DataError:
    """The error for a list of NCT ids where trials are expected."""
    file, shown = PurePath(label).name, ", ".join(map(repr, others[:5]))
    beside = f"and no column of trial data (there is {shown})" if others else "only"
    return DataError(
        f"{label}: has NCT ids {beside}: a list of ids, not trials. To fetch these trials: trialtune registry"
        f" sync --out FOLDER --ids {file}; to compare a snapshot with them: trialtune registry diff SNAPSHOT"
        f" --base {file} --out FOLDER"
    )


def _tell_only_ids(names: Sequence[str], form: TableForm, label: str) -> None:
    """Raise DataError when no column but that of the ids holds anything of a trial."""
    assert form.columns is not None
    if set(form.columns.used) == {"nct_id"} and not any("protocolSection" in name for name in names):
        raise only_ids(label, form.columns.unused)


def no_id_column(label: str, names: Sequence[str]) -> DataError:
    """The error for a table without NCT ids: what it has, what is expected."""
    plain = {name.lower().replace(" ", "").replace("-", "").replace("_", "") for name in names}
    for registry, marks in _OTHER_REGISTRIES.items():
        if plain & marks:
            return DataError(
                f"{label}: this looks like an export of {registry}, which has no NCT ids; trialtune reads"
                " trials of ClinicalTrials.gov"
            )
    found = ", ".join(repr(name) for name in names[:20]) + (", …" if len(names) > 20 else "")
    return DataError(
        f"{label}: no column of NCT ids among {found}; name one nct_id, NCTId, 'NCT Number', trial_id or id"
    )


_OTHER_REGISTRIES = {
    "ISRCTN": {"isrctn", "isrctnid", "isrctnnumber"},
    "DRKS (Germany)": {"drksid", "drks"},
    "CTIS (EU)": {"ctnumber", "euctnumber", "euctnr", "ctisnumber"},
    "the EU Clinical Trials Register": {"eudractnumber", "eudractid"},
    "ANZCTR (Australia, New Zealand)": {"actrn", "actrnumber"},
}


def _known_header(cells: Cells, label: str, reading: Reading) -> Sequence[str]:
    """The header of a file that begins with a trial."""
    known = reading.headers.get(len(cells))
    if known is None and len(cells) == len(SITE_HEADER):
        known = SITE_HEADER
    if known is None or not is_nct_id(dict(zip(known, cells, strict=True))[_id_name(known)]):
        raise DataError(
            f"{label}: its first line is a trial ({cells[0][:40]}, …), not a header; put a line with the"
            f" names of its {len(cells)} columns on top"
        )
    return known


def _id_name(header: Sequence[str]) -> str:
    return columns_of(tuple(header))["nct_id"]


def _named(header: Sequence[str], first: Sequence[Any], label: str) -> list[str]:
    """Column names as the records use them: unique, with the id column identified."""
    names: list[str] = []
    for position, name in enumerate(header):
        names.append(f"column {position + 1}" if not name.strip() or name in names else name)
    column = id_column(names, dict(zip(names, first, strict=False)))
    if column is None:
        if reason := undecodable("".join(header)):
            raise DataError(f"{label}: {reason}")
        raise no_id_column(label, header)
    return names if columns_of((column,)).get("nct_id") else ["nct_id" if n == column else n for n in names]


def _parquet_names(schema: pa.Schema, first: Mapping[str, object], label: str) -> list[str]:
    """`_named`, unless a column holds whole studies."""
    for name in schema.names:
        kind, value = schema.field(name).type, first.get(name)
        nested = pa.types.is_struct(kind) and (
            name == "protocolSection" or kind.get_field_index("protocolSection") >= 0
        )
        if nested or name.startswith("protocolSection") or '"protocolSection"' in str(value):
            return list(schema.names)
    return _named(schema.names, [first.get(name) for name in schema.names], label)


def _scalar_names(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if not pa.types.is_nested(field.type)]


def columns_as_lists(batch: pa.RecordBatch | pa.Table) -> dict[str, list[Any]]:
    """The columns as Python lists; bytes that are not UTF-8 become lone surrogates."""
    return {name: _values(batch.column(name)) for name in batch.schema.names}


def _values(column: pa.Array) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        # Parquet does not check its text: bad bytes become lone surrogates, as in the other readers.
        binary = column.cast(pa.large_binary()).to_pylist()
        values = [None if cell is None else cell.decode("utf-8", "surrogateescape") for cell in binary]
    return values
