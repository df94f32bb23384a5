"""A stand-in for ClinicalTrials.gov: speaks API v2 over real or made-up studies, and misbehaves on demand.

    python tests/support/registry_server.py --port 0 --data studies.jsonl.gz --fail 429,500,cut

prints its base URL and serves until killed. The faults strike in turn, one in `--every` requests for
studies. POST /admin changes, withdraws and merges studies and arms single faults.
"""

import argparse
import asyncio
import base64
import copy
import gzip
import json
import re
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

Study = dict[str, Any]
FAULTS = ("429", "500", "503", "slow", "cut", "half", "html", "expire", "drop")

# The API's piece names, and where they lie in a module of protocolSection.
_PIECES = """
identificationModule: NCTId=nctId NCTIdAlias=nctIdAliases BriefTitle=briefTitle
identificationModule: OfficialTitle=officialTitle OrgStudyId=orgStudyIdInfo.id
identificationModule: SecondaryId=secondaryIdInfos.id SecondaryIdType=secondaryIdInfos.type
statusModule: OverallStatus=overallStatus WhyStopped=whyStopped StartDate=startDateStruct.date
statusModule: LastUpdatePostDate=lastUpdatePostDateStruct.date CompletionDate=completionDateStruct.date
statusModule: StudyFirstPostDate=studyFirstPostDateStruct.date
statusModule: PrimaryCompletionDate=primaryCompletionDateStruct.date
sponsorCollaboratorsModule: LeadSponsorName=leadSponsor.name LeadSponsorClass=leadSponsor.class
sponsorCollaboratorsModule: CollaboratorName=collaborators.name
oversightModule: IsFDARegulatedDrug=isFdaRegulatedDrug IsFDARegulatedDevice=isFdaRegulatedDevice
descriptionModule: BriefSummary=briefSummary DetailedDescription=detailedDescription
conditionsModule: Condition=conditions Keyword=keywords
designModule: StudyType=studyType Phase=phases DesignAllocation=designInfo.allocation
designModule: DesignPrimaryPurpose=designInfo.primaryPurpose DesignMasking=designInfo.maskingInfo.masking
designModule: EnrollmentCount=enrollmentInfo.count EnrollmentType=enrollmentInfo.type
armsInterventionsModule: ArmGroupLabel=armGroups.label ArmGroupDescription=armGroups.description
armsInterventionsModule: InterventionType=interventions.type InterventionName=interventions.name
armsInterventionsModule: InterventionDescription=interventions.description
outcomesModule: PrimaryOutcomeMeasure=primaryOutcomes.measure
outcomesModule: PrimaryOutcomeDescription=primaryOutcomes.description
outcomesModule: PrimaryOutcomeTimeFrame=primaryOutcomes.timeFrame
outcomesModule: SecondaryOutcomeMeasure=secondaryOutcomes.measure
outcomesModule: SecondaryOutcomeDescription=secondaryOutcomes.description
outcomesModule: SecondaryOutcomeTimeFrame=secondaryOutcomes.timeFrame
eligibilityModule: EligibilityCriteria=eligibilityCriteria Sex=sex MinimumAge=minimumAge
eligibilityModule: MaximumAge=maximumAge HealthyVolunteers=healthyVolunteers
contactsLocationsModule: LocationCountry=locations.country
"""
_PATHS = {"HasResults": "hasResults"} | {
    name: f"protocolSection.{module}.{path}"
    for module, _, pieces in (line.partition(": ") for line in _PIECES.strip().splitlines())
    for name, _, path in (piece.partition("=") for piece in pieces.split())
}
_RANGE = re.compile(r"AREA\[LastUpdatePostDate\]RANGE\[(MIN|\d{4}-\d\d-\d\d),\s*(MAX|\d{4}-\d\d-\d\d)\]")


class Order(BaseModel):
    """What POST /admin does; everything that is named, in this order."""

    timestamp: str | None = None
    put: list[Any] = []
    withdraw: list[str] = []
    merge: dict[str, str] = {}  # the id that goes -> the id that takes it up
    refuse: list[str] = []  # ids that make their whole batch a bad request
    faults: list[str] = []  # strike the next requests for studies, one each
    miscount: int = 0  # added to every total from now on


class Registry:
    """The studies served, and what goes wrong."""

    def __init__(self, studies: list[Study], faults: list[str], every: int) -> None:
        self.studies: dict[str, Any] = {}
        for study in studies:
            self.put(study)
        self.timestamp = f"{max(map(update_day, self.studies.values()), default='2026-01-01')}T09:00:05"
        self.faults, self.every = faults, every
        self.armed: deque[str] = deque()
        self.refused: set[str] = set()
        self.miscount = self.epoch = self.asked = 0
        self.knows_ranges = True  # else a range of dates in a request is ignored
        self.log: list[dict[str, Any]] = []

    def put(self, study: Any) -> None:
        """Add or replace a study; one without an id gets a place of its own."""
        self.studies[nct_id(study) or f"~{len(self.studies)}"] = study

    def obey(self, order: Order) -> None:
        """Carry out an order."""
        self.timestamp = order.timestamp or self.timestamp
        for study in order.put:
            self.put(study)
        for name in order.withdraw:
            self.studies.pop(name, None)
        for lost, keeper in order.merge.items():
            self.studies.pop(lost, None)
            study = self.studies[keeper] = copy.deepcopy(self.studies[keeper])
            study["protocolSection"]["identificationModule"].setdefault("nctIdAliases", []).append(lost)
        self.refused |= set(order.refuse)
        self.armed.extend(order.faults)
        self.miscount = order.miscount

    def next_fault(self) -> str | None:
        """The fault that strikes this request, if any."""
        self.asked += 1
        if self.armed:
            return self.armed.popleft()
        turn, rest = divmod(self.asked, self.every)
        return self.faults[turn % len(self.faults)] if self.faults and rest == 0 else None


def nct_id(study: Any) -> str | None:
    """The study's id."""
    return _at(study, "protocolSection", "identificationModule", "nctId")


def update_day(study: Any) -> str:
    """The day of the study's last update, padded to sort; empty when unknown."""
    text = _at(study, "protocolSection", "statusModule", "lastUpdatePostDateStruct", "date") or ""
    return f"{text}-01-01"[:10] if text else ""


def read_studies(path: Path) -> list[Study]:
    """Studies of a JSON Lines file, gzip or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return [json.loads(line) for line in lines]


def made_up_studies(count: int) -> list[Study]:
    """Studies of the generated sample."""
    from trialtune.registry.sample import SampleSettings, generate_studies  # noqa: PLC0415 - slow, rarely needed

    return [sample.study for sample in generate_studies(SampleSettings(studies=count, dirty=0))]


def create_app(registry: Registry) -> FastAPI:
    """The stand-in's routes."""
    app = FastAPI(title="Stand-in for ClinicalTrials.gov API v2")

    @app.get("/api/v2/version")
    def version() -> dict[str, str]:
        return {"apiVersion": "2.0.5", "dataTimestamp": registry.timestamp}

    @app.post("/admin")
    def admin(order: Order) -> dict[str, int]:
        registry.obey(order)
        return {"studies": len(registry.studies)}

    @app.get("/api/v2/studies/{name}")
    def one(name: str, fields: str | None = None) -> Response:
        found = [study for study in registry.studies.values() if name in _names(study)]
        return _json(_pick(found[0], fields)) if found else _bad(f"NCT number {name} not found", 404)

    @app.get("/api/v2/studies")
    async def studies(request: Request) -> Response:
        asked = dict(request.query_params)
        fault = registry.next_fault()
        told = {"agent": "user-agent", "encoding": "accept-encoding"}
        said = {name: request.headers.get(header) for name, header in told.items()}
        registry.log.append({**asked, **said, "fault": fault})
        if fault == "slow":
            await asyncio.sleep(1.0)
        elif fault == "expire":  # every token given so far
            registry.epoch += 1
        elif fault is not None and fault not in ("cut", "half", "drop"):
            return _spoiled(fault)
        answer = _answer(registry, asked)
        zips = "gzip" in request.headers.get("accept-encoding", "")
        return _cut(answer, fault) if fault in ("cut", "half", "drop") else _zipped(answer, zips)

    return app


def _answer(registry: Registry, asked: dict[str, str]) -> Response:
    known = {"fields", "pageSize", "pageToken", "countTotal", "filter.ids", "filter.advanced", "query.term"}
    if unknown := sorted(set(asked) - known):
        return _bad(f"unknown parameter {unknown[0]}")
    if unknown := sorted(set(filter(None, asked.get("fields", "").split(","))) - set(_PATHS)):
        return _bad(f"unknown field {unknown[0]}")
    try:
        found = _found(registry, asked)
        at = _position(registry, asked)
    except ValueError as error:
        return _bad(str(error))
    size = min(int(asked.get("pageSize", "10")), 1000)
    page = [_pick(study, asked.get("fields")) for study in found[at : at + size]]
    answer: dict[str, Any] = {"studies": page}
    if asked.get("countTotal") == "true":
        answer["totalCount"] = len(found) + registry.miscount
    if at + size < len(found):
        answer["nextPageToken"] = _token(registry, asked, at + size)
    return _json(answer)


def _found(registry: Registry, asked: dict[str, str]) -> list[Any]:
    found = [registry.studies[name] for name in sorted(registry.studies, key=lambda name: name[::-1])]
    if "filter.ids" in asked:
        ids = set(asked["filter.ids"].split(","))
        bad = sorted(name for name in ids if not re.fullmatch(r"NCT\d{8}", name) or name in registry.refused)
        if bad:
            raise ValueError(f"`filter.ids` has incorrect format: {bad[0]}")
        found = [study for study in found if ids & _names(study)]
    if "filter.advanced" in asked and registry.knows_ranges:
        match = _RANGE.fullmatch(asked["filter.advanced"])
        if match is None:
            raise ValueError("`filter.advanced`: only ranges of LastUpdatePostDate are spoken here")
        low, high = match[1].replace("MIN", ""), match[2].replace("MAX", "~")
        found = [study for study in found if low <= update_day(study) <= high]
    if "query.term" in asked:
        words = asked["query.term"].lower().split()
        found = [study for study in found if all(word in json.dumps(study).lower() for word in words)]
    return found


def _token(registry: Registry, asked: dict[str, str], at: int) -> str:
    request = {
        name: asked[name] for name in sorted(asked) if name not in ("pageToken", "countTotal", "pageSize")
    }
    return base64.urlsafe_b64encode(json.dumps([registry.epoch, at, request]).encode()).decode()


def _position(registry: Registry, asked: dict[str, str]) -> int:
    if "pageToken" not in asked:
        return 0
    epoch, at, _ = json.loads(base64.urlsafe_b64decode(asked["pageToken"]))
    if epoch != registry.epoch or asked["pageToken"] != _token(registry, asked, at):
        raise ValueError("`pageToken` is expired, or belongs to another request")
    return int(at)


def _pick(study: Any, fields: str | None) -> Any:
    """The study with only the named fields."""
    if not fields or not isinstance(study, dict):
        return study
    picked: Study = {}
    for name in fields.split(","):
        _copy(study, picked, _PATHS[name].split("."))
    return picked


def _copy(source: Any, target: Study, path: list[str]) -> None:
    first, *rest = path
    if not isinstance(source, dict) or first not in source:
        return
    value = source[first]
    if not rest:
        target[first] = value
    elif isinstance(value, list):
        items = target.setdefault(first, [{} for _ in value])
        for item, own in zip(value, items, strict=True):
            _copy(item, own, rest)
    elif isinstance(value, dict):
        _copy(value, target.setdefault(first, {}), rest)
    else:
        target[first] = value


def _names(study: Any) -> set[str]:
    return {
        nct_id(study) or "",
        *(_at(study, "protocolSection", "identificationModule", "nctIdAliases") or []),
    }


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _spoiled(fault: str) -> Response:
    if fault == "html":
        return Response("<html><body>Down for maintenance</body></html>", media_type="text/html")
    return Response(f"fault {fault}", int(fault), {"Retry-After": "0.01"} if fault == "429" else {})


def _cut(answer: Response, fault: str) -> Response:
    body = bytes(answer.body)
    half = body[: len(body) // 2]
    if fault == "half":  # JSON that ends in the middle, in an answer that is whole
        return Response(half, media_type="application/json")
    promised = {"Content-Length": str(len(body))}  # a connection that ends in the middle
    return Response(b"" if fault == "drop" else half, media_type="application/json", headers=promised)


def _zipped(answer: Response, zips: bool) -> Response:
    if not zips:
        return answer
    body = gzip.compress(bytes(answer.body), 1)
    return Response(body, answer.status_code, {"Content-Encoding": "gzip"}, answer.media_type)


def _json(value: Any) -> Response:
    return Response(json.dumps(value), media_type="application/json")  # escapes lone surrogates, as they come


def _bad(message: str, status: int = 400) -> Response:
    return Response(message, status_code=status, media_type="text/plain")


@contextmanager
def serving(
    studies: list[Study], faults: list[str] | None = None, every: int = 5
) -> Iterator[tuple[str, Registry]]:
    """Serve on a free port in a thread; yields the base URL and the registry behind it."""
    registry = Registry(studies, faults or [], every)
    server, listener = _server(registry, 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield _url(listener), registry
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _server(registry: Registry, port: int) -> tuple[uvicorn.Server, socket.socket]:
    listener = socket.create_server(("127.0.0.1", port))
    settings = uvicorn.Config(create_app(registry), log_level="critical", timeout_graceful_shutdown=1)
    return uvicorn.Server(settings), listener


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/api/v2"


def serve(registry: Registry, port: int) -> None:
    """Print the base URL and serve until Ctrl-C."""
    try:
        server, listener = _server(registry, port)
    except OSError as error:
        sys.exit(f"--port {port}: {error}; choose another")
    print(_url(listener), flush=True)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0, help="0 for any free port")
    parser.add_argument("--data", type=Path, help="v2 studies as JSON Lines; else made-up ones")
    parser.add_argument("--studies", type=int, default=400, help="how many to make up")
    parser.add_argument("--fail", default="", help=f"any of {','.join(FAULTS)}")
    parser.add_argument("--every", type=int, default=5, help="requests from one fault to the next")
    chosen = parser.parse_args()
    faults = [name for name in chosen.fail.split(",") if name]
    if unknown := sorted(set(faults) - set(FAULTS)):
        sys.exit(f"--fail {unknown[0]}: choose from {','.join(FAULTS)}")
    studies = read_studies(chosen.data) if chosen.data else made_up_studies(chosen.studies)
    serve(Registry(studies, faults, chosen.every), chosen.port)


if __name__ == "__main__":
    main()
