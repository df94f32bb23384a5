"""Ways in which a line of a registry file can be broken or just ugly, one function each."""

import copy
import json
import textwrap
from collections.abc import Callable
from typing import Any

Study = dict[str, Any]

_TEXT_MODULES = ("descriptionModule", "conditionsModule", "armsInterventionsModule", "outcomesModule")


def as_line(study: Study) -> str:
    """The study as one compact JSON line, without its newline."""
    return json.dumps(study, ensure_ascii=False, separators=(",", ":"))


def _missing_id(study: Study, before: Study) -> str:
    del study["protocolSection"]["identificationModule"]["nctId"]
    return as_line(study)


def _malformed_id(study: Study, before: Study) -> str:
    identification = study["protocolSection"]["identificationModule"]
    identification["nctId"] = identification["nctId"][:-3] + "O1"
    return as_line(study)


def _duplicate_id(study: Study, before: Study) -> str:
    first = before["protocolSection"]["identificationModule"]["nctId"]
    study["protocolSection"]["identificationModule"]["nctId"] = first
    return as_line(study)


def _no_text(study: Study, before: Study) -> str:
    protocol = study["protocolSection"]
    for module in _TEXT_MODULES:
        del protocol[module]
    for title in ("briefTitle", "officialTitle"):
        protocol["identificationModule"].pop(title, None)
    protocol["statusModule"].pop("whyStopped", None)
    del protocol["eligibilityModule"]["eligibilityCriteria"]
    return as_line(study)


def _unknown_sex(study: Study, before: Study) -> str:
    study["protocolSection"]["eligibilityModule"]["sex"] = "BOTH, SEE PROTOCOL"
    return as_line(study)


def _cut_line(study: Study, before: Study) -> str:
    line = as_line(study)
    return line[: len(line) // 2]


def _control_characters(study: Study, before: Study) -> str:
    return as_line(
        _rewritten(study, lambda text: text.replace(" of ", " of\x00 ").replace(". ", ".\x0b ") + "\x07")
    )


def _html_entities(study: Study, before: Study) -> str:
    def escape(text: str) -> str:
        text = text.replace("&", "&amp;").replace("≥", "&ge;").replace(" and ", "&nbsp;and ")
        return text.replace("\\<", "&lt;").replace("\\>", "&gt;") + "&nbsp;"

    return as_line(_rewritten(study, escape))


def _hard_wrapped(study: Study, before: Study) -> str:
    """Short lines with deep margins, as in the registry's old XML."""

    def wrap(text: str) -> str:
        margin = " " * 6
        blocks = (textwrap.wrap(block, 72) for block in text.split("\n"))
        return "\n".join("\n".join(margin + line for line in block) for block in blocks)

    return as_line(_rewritten(study, wrap))


def _rewritten(study: Study, change: Callable[[str], str]) -> Study:
    protocol = study["protocolSection"]
    for module, name in (
        ("descriptionModule", "briefSummary"),
        ("descriptionModule", "detailedDescription"),
        ("eligibilityModule", "eligibilityCriteria"),
    ):
        if name in protocol[module]:
            protocol[module][name] = change(protocol[module][name])
    return study


# Lines an importer must refuse, and ugly ones it must mend.
REFUSED = (_missing_id, _malformed_id, _duplicate_id, _no_text, _unknown_sex, _cut_line)
MENDED = (_control_characters, _html_entities, _hard_wrapped)


def spoil(turn: int, study: Study, before: Study) -> tuple[str, bool]:
    """The study's line with the `turn`-th kind of dirt, kinds going round; True if the study can be saved."""
    kinds = MENDED + REFUSED
    kind = kinds[turn % len(kinds)]
    return kind(copy.deepcopy(study), before), kind in MENDED
