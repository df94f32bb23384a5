"""Why a trial stopped: 17 reasons, multi-label, from `why_stopped`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trialtune.corpus.documents import clean
from trialtune.errors import DataError
from trialtune.tasks.stop_reasons.keywords import KEYWORDS
from trialtune.tasks.task import Agreement, Task

if TYPE_CHECKING:
    import polars as pl

FIELDS = ("why_stopped",)
LABELS = {
    "Insufficient_Enrollment": "Too few people joined or stayed: slow, low or absent recruitment.",
    "Business_Administrative": "A decision about money, contracts, company strategy or administration, or one"
    " by the sponsor that gives no other ground.",
    "Negative": "The results were poor: no effect, futility, a missed endpoint, weak benefit for the risk.",
    "Safety_Sideeffects": "Participants were harmed or could be: adverse events, toxicity, deaths.",
    "Study_Design": "The plan itself was at fault or out of date: protocol, dose, endpoint, feasibility,"
    " or practice that moved on.",
    "Logistics_Resources": "Something practical was missing other than money: drug, equipment, staff, time,"
    " a site; or an outside event such as war or a storm.",
    "Study_Staff_Moved": "An investigator or key member of staff left, moved, retired, fell ill or died.",
    "Another_Study": "Another trial, or evidence from one, competed, replaced this one or absorbed it.",
    "Regulatory": "An authority, ethics board approval, clinical hold, licence or law stood in the way.",
    "Ethical_Reason": "It would be wrong to go on, or an ethics committee objected.",
    "Covid19": "COVID-19 or the pandemic played a part.",
    "Interim_Analysis": "An early or planned look at the data led to the decision, or is awaited.",
    "Endpoint_Met": "The aim was reached or enough was collected ahead of plan, with no claim of benefit.",
    "Success": "The treatment clearly worked, so there was no reason to go on.",
    "Insufficient_Data": "Data or samples were missing, unusable or too few to answer the question.",
    "Invalid_Reason": "No reason for stopping early: finished as planned, never begun, entered by mistake,"
    " or a bare status.",
    "No_Context": "Says nothing of its own: a pointer elsewhere, `other`, `unknown`, a stray word.",
}

_GOLD = Path(__file__).with_name("gold.parquet")


def build_text(record: Mapping[str, Any]) -> str:
    """The reason on one line; empty when none was given."""
    return " ".join(clean(record.get("why_stopped") or "").split())


def load_gold() -> "pl.DataFrame":
    """The shipped labels [nct_id, labels, split, text_hash], one row per trial.

    The project checked the labels by hand against the texts, which are not shipped; `split` is `train`
    or `dev` (labelled twice and reconciled; keep it for testing).
    """
    if not _GOLD.is_file():
        raise DataError(f"{_GOLD}: the labels are missing from this installation; reinstall trialtune")
    import polars as pl  # noqa: PLC0415 - labelling one text starts without it

    return pl.read_parquet(_GOLD)


STOP_REASONS = Task(
    name="stop-reasons",
    kind="multi_label",
    labels=LABELS,
    max_length=96,  # the registry allows 250 characters
    fields=FIELDS,
    build_text=build_text,
    load_gold=load_gold,
    gold_agreement=Agreement(texts=500, labels=641, micro_f1=0.988),  # the rows of split = dev
    keywords=KEYWORDS,
)
