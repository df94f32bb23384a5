"""`croissant.json`: a labelled registry described for programs, in Croissant 1.1 of MLCommons.

The JSON-LD is made here because `mlcroissant`, whose reader the tests check it with, needs pandas, rdflib
and ten other packages. https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.classifier.prediction import EVIDENCE, EVIDENCE_FIELDS
from trialtune.files import sha256_of, write_json
from trialtune.labelling.description import REGISTRY, TERMS, Description

CROISSANT = "croissant.json"
_PARTS = "parquet-files"
_PARQUET = (
    "application/x-parquet"  # mlcroissant reads no other, not the registered application/vnd.apache.parquet
)
_BY_MODEL = ("labels", "probabilities", "needs_review", EVIDENCE)
_CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
_OWN_NAMES = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes", "extract", "field"),
    *("fileObject", "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath"),
    *("key", "md5", "parentField", "path", "readLines", "recordSet", "references", "regex", "repeated"),
    *("replace", "samplingRate", "sdVersion", "separator", "source", "subField", "transform", "unArchive"),
    *("annotation", "value"),
)
# That of the specification and the names that mlcroissant misses in it. schema.org's names with https, as
# mlcroissant and the Hub write them.
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    **{name: f"cr:{name}" for name in _OWN_NAMES},
}


def write_croissant(described: Description, folder: Path, parts: Mapping[str, int]) -> None:
    """Write `folder/croissant.json` of the `parts` in `folder/labels`; the paths in it start at `folder`.

    It bears the date of the registry's data as that of publication; no clock is read.
    """
    files = [folder / "labels" / name for name in parts]
    known, given = described.summary, described.publication
    stated = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS_TO,
        "name": described.name,
        "description": described.about,
        "license": [given.license_url, TERMS] if given.license_url else TERMS,
        "creator": {"@type": "sc:Organization", "name": given.creator} if given.creator else None,
        "url": given.url,
        "version": described.version,
        "datePublished": described.date,
        "citeAs": described.citation,
        "inLanguage": "en",
        "keywords": ["clinical trials", "ClinicalTrials.gov", "text classification", described.task.name],
        "prov:wasDerivedFrom": {"@id": REGISTRY, "prov:label": _origin(described)},
        "prov:wasGeneratedBy": {"@type": "prov:Activity", "prov:label": f"apply of {described.software}"},
        "rai:machineAnnotationTools": [described.software, f"classifier {described.classifier}"],
        "rai:dataAnnotationProtocol": f"Each text was read by the classifier {described.classifier}.",
        "rai:dataLimitations": described.limits,
        "rai:dataCollectionMissingData": f"{known.without_text:,} trials have no text of the task.",
        "distribution": [*map(_file_object, files), _file_set()],
        "recordSet": [_trials(described, pq.read_schema(files[0])), _labels(described)],
    }
    write_json(folder / CROISSANT, {name: value for name, value in stated.items() if value is not None})


def _origin(described: Description) -> str:
    return f"ClinicalTrials.gov, data of {described.summary.snapshot.data_timestamp or 'an unknown date'}"


def _file_object(path: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": f"labels/{path.name}",
        "name": path.name,
        "contentUrl": f"labels/{path.name}",
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _PARQUET,
        "sha256": sha256_of(path),
    }


def _file_set() -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": _PARTS,
        "name": _PARTS,
        "description": "All parts, in the order of the trials' numbers.",
        "encodingFormat": _PARQUET,
        "includes": "labels/*.parquet",
    }


def _trials(described: Description, schema: pa.Schema) -> dict[str, Any]:
    said = described.columns
    fields = [_field(described, column, said[column.name]) for column in schema]
    return {
        "@type": "cr:RecordSet",
        "@id": "trials",
        "name": "trials",
        "description": "One row a trial, in the order of their numbers.",
        "key": {"@id": "trials/nct_id"},
        "field": fields,
    }


def _field(described: Description, column: pa.Field, description: str) -> dict[str, Any]:
    """A column: lists are arrays, structs have sub-fields."""
    made: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"trials/{quote(column.name)}",
        "name": column.name,
        "description": description,
    }
    kind = column.type
    if pa.types.is_list(kind):
        made |= {"isArray": True, "arrayShape": "-1"}
        kind = kind.value_type
    if pa.types.is_struct(kind):
        inner = EVIDENCE_FIELDS if column.name == EVIDENCE else described.inner(column.name)
        made["subField"] = [_inner(column.name, one, inner.get(one.name, "")) for one in kind]
    else:
        types = [_type_of(kind)]
        made["dataType"] = [*types, "cr:Label"] if column.name == "labels" else types[0]
        made["source"] = _source(column.name)
    if column.name in _BY_MODEL:
        agent = {"@type": "prov:SoftwareAgent", "prov:label": f"classifier {described.classifier}"}
        made["prov:wasAttributedTo"] = agent
    return made


def _inner(column: str, field: pa.Field, description: str) -> dict[str, Any]:
    """A field of a struct, which a JSONPath finds in it."""
    named = field.name.replace("\\", "\\\\").replace("'", "\\'")
    made = {
        "@type": "cr:Field",
        "@id": f"trials/{quote(column)}/{quote(field.name, safe='')}",
        "name": field.name,
        "description": description or field.name,
        "dataType": _type_of(field.type),
        "source": _source(column) | {"transform": {"jsonPath": f"$['{named}']"}},
    }
    return made


def _source(column: str) -> dict[str, Any]:
    return {"fileSet": {"@id": _PARTS}, "extract": {"column": column}}


def _type_of(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:Integer" if pa.types.is_integer(kind) else "sc:Text"


def _labels(described: Description) -> dict[str, Any]:
    """The labels with their definitions, in the order of the probabilities."""
    names = ("name", "description")
    return {
        "@type": "cr:RecordSet",
        "@id": "definitions",
        "name": "definitions",
        "description": f"The labels of the task {described.task.name}.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "definitions/name"},
        "field": [
            {"@type": "cr:Field", "@id": f"definitions/{name}", "name": name, "dataType": "sc:Text"}
            for name in names
        ],
        "data": [
            {"definitions/name": label, "definitions/description": meaning}
            for label, meaning in described.task.labels.items()
        ],
    }
