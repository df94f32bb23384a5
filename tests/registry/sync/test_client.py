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


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://127.0.0.1:9/api/v2", "refused"), ("http://no-such-host.invalid/api/v2", "ConnectError")],
    ids=["nothing listens", "no such name"],
)
def test_without_a_network_the_first_request_fails_at_once(url, reason):
    with RegistryClient(url, ClientSettings(), sleep=pytest.fail) as client:
        with pytest.raises(DataError, match=rf"no connection \(.*{reason}.*check the network.*--base-url"):
            client.version()
        assert (client.requests, client.retries) == (1, 0)


def test_without_a_proxy_the_first_request_fails_at_once(served, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with (
        RegistryClient("http://registry.example/api/v2", FAST, sleep=pytest.fail) as client,
        pytest.raises(DataError, match=r"registry.example: no connection.*HTTPS_PROXY"),
    ):
        client.version()


def test_a_network_lost_on_the_way_is_waited_for(registry_server, capsys):
    with registry_server.serving(registry_server.made_up_studies(3)) as (url, _):
        client = RegistryClient(url, FAST)
        client.version()
    with client, pytest.raises(DataError, match=r"4 attempts.*refused.*run the same command again later"):
        client.version()
    assert client.retries == 3
    assert capsys.readouterr().err.count("refused") == 3


def test_each_retry_is_told_with_its_reason_and_its_wait(registry_server, served, capsys):
    order(registry_server, served, faults=["503", "html"])
    slept = []
    with RegistryClient(served[0], ClientSettings(rate=0, backoff=30), sleep=slept.append) as client:
        client.page(FIELDS)
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{client.host}: HTTP 503; attempt 2 of 8 in {slept[0]:.0f} s"
    assert "not JSON but" in second and f"attempt 3 of 8 in {slept[1]:.0f} s" in second


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
