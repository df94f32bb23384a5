"""The client of API v2 against a registry that misbehaves."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from trialtune.errors import DataError, UsageError
from trialtune.registry.settings import ClientSettings
from trialtune.registry.sync.client import Refused, RegistryClient, retry_after

FAST = ClientSettings(rate=0, backoff=0.005, attempts=4, timeout=0.4)
FIELDS = {"fields": "NCTId,BriefTitle"}


@pytest.fixture(scope="module")
def served(registry_server):
    with registry_server.serving(registry_server.made_up_studies(60)) as (url, registry):
        yield url, registry


@pytest.fixture
def client(served):
    with RegistryClient(served[0], FAST) as client:
        yield client


def order(registry_server, served, **orders):
    served[1].obey(registry_server.Order(**orders))


def test_pages_follow_each_other_to_the_total(client):
    page, seen = client.page(FIELDS, size=25), []
    assert page.total == 60
    while True:
        seen += [study["protocolSection"]["identificationModule"]["nctId"] for study in page.studies]
        if page.token is None:
            break
        page = client.page(FIELDS, token=page.token, size=25)
        assert page.total is None
    assert len(seen) == len(set(seen)) == 60
    assert client.count(FIELDS) == 60
    assert client.version().endswith("T09:00:05")


def test_it_says_who_it_is_and_takes_gzip(client, served):
    client.page(FIELDS)
    assert served[1].log[-1]["agent"].startswith("trialtune/")
    assert served[1].log[-1]["encoding"] == "gzip"


@pytest.mark.parametrize("fault", ["429", "500", "503", "slow", "cut", "half", "html", "drop"])
def test_what_may_pass_is_tried_again(registry_server, served, client, fault):
    order(registry_server, served, faults=[fault, fault])
    assert len(client.page(FIELDS).studies) == 60
    assert (client.requests, client.retries) == (3, 2)


@pytest.mark.parametrize("fault", ["500", "html", "half", "cut"])
def test_attempts_run_out_with_a_clear_error(registry_server, served, client, fault):
    order(registry_server, served, faults=[fault] * 4)
    with pytest.raises(
        DataError, match=r"/studies: no complete response in 4 attempts.*run the same command again"
    ):
        client.page(FIELDS)


def test_a_wrong_request_is_not_repeated(client):
    with pytest.raises(Refused, match=r"HTTP 400: unknown field Nonsense"):
        client.page({"fields": "Nonsense"})
    assert client.requests == 1


def test_a_server_that_is_not_there():
    with (
        RegistryClient("http://127.0.0.1:9/api/v2", FAST) as client,
        pytest.raises(DataError, match="ConnectError"),
    ):
        client.version()


def test_a_url_that_is_none():
    with pytest.raises(UsageError, match=r"--base-url 'clinicaltrials.gov'"):
        RegistryClient("clinicaltrials.gov")


def test_requests_keep_the_rate(served):
    slept = []
    with RegistryClient(served[0], ClientSettings(rate=1), sleep=slept.append) as client:
        for _ in range(3):
            client.version()
    assert len(slept) == 2
    assert 0.5 < slept[0] <= 1 and 1 < slept[1] <= 2  # nobody really slept: the turns pile up


def test_pauses_grow_and_differ(registry_server, served):
    order(registry_server, served, faults=["500"] * 4)
    slept = []
    settings = ClientSettings(rate=0, backoff=1, attempts=5)
    with RegistryClient(served[0], settings, sleep=slept.append) as client:
        client.page(FIELDS)
    assert all(2**n <= pause <= 2**n + 1 for n, pause in enumerate(slept))
    assert len({round(pause % 1, 6) for pause in slept}) == 4


def test_retry_after_is_honoured(registry_server, served):
    order(registry_server, served, faults=["429"])
    slept = []
    settings = ClientSettings(rate=0, backoff=1e-6)
    with RegistryClient(served[0], settings, sleep=slept.append) as client:
        client.page(FIELDS)
    assert slept == [0.01]


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("7", 7, 7), ("99999", 600, 600), ("-3", 0, 0), ("soon", 0, 0), ("", 0, 0)],
)
def test_retry_after_of_seconds(header, low, high):
    assert low <= retry_after(httpx.Response(429, headers={"Retry-After": header})) <= high


def test_retry_after_of_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after(httpx.Response(503, headers={"Retry-After": later})) <= 30
