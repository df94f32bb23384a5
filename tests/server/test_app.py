"""The service answers rightly, refuses clearly, and stays up."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.prediction import PREDICTION_SCHEMA
from trialtune.errors import DataError, UsageError
from trialtune.server.app import ServiceSettings, build_app
from trialtune.server.middleware import JsonFormatter
from trialtune.server.run import bind, read_token

TEXTS = ["slow recruitment", "funding ran out", "safety concern", "lack of efficacy", "sponsor decision"]
EXAMPLES = int(os.environ.get("TRIALTUNE_SCHEMA_EXAMPLES", "15"))  # requests made up for each operation
PLAIN = {"Content-Type": "application/json"}


def ask(client: httpx.Client, texts: list[str], **more) -> list[dict]:
    reply = client.post("/v1/predict", json={"texts": texts, "tasks": ["stop-reasons"], **more})
    assert reply.status_code == 200, reply.text
    return reply.json()["results"]["stop-reasons"]


def test_the_same_answers_as_predict(service, classifiers) -> None:
    told = service.post("/v1/predict", json={"texts": [*TEXTS, " "]}).json()["results"]
    assert list(told) == ["stop-reasons", "sex"]
    for folder, rows in zip(classifiers, told.values(), strict=True):
        expected = Classifier.from_pretrained(folder).predict_frame({"text": [*TEXTS, " "]}).to_dicts()
        for row, right in zip(rows, expected, strict=True):
            assert list(row) == list(PREDICTION_SCHEMA)
            for name in ("labels", "needs_review", "text", "classifier", "text_hash"):
                assert row[name] == right[name]
            for label, probability in (row["probabilities"] or {}).items():
                # bf16, in other batches
                assert probability == pytest.approx(right["probabilities"][label], abs=1e-2)


def test_records_of_the_registry_and_flat_ones(service) -> None:
    study = {
        "protocolSection": {
            "identificationModule": {"nctId": "NCT00000001", "briefTitle": "A study of women"},
            "statusModule": {"whyStopped": "Slow &amp; costly"},
            "eligibilityModule": {"eligibilityCriteria": "Inclusion Criteria:\n* pregnant women"},
        }
    }
    flat = {"nct_id": "NCT00000002", "Why Stopped": "funding"}
    records = [study, flat, {"protocolSection": 3}, {"nct_id": "\ud800", "why_stopped": "x"}]
    body = json.dumps({"records": records}).encode()
    told = service.post("/v1/predict", content=body, headers=PLAIN).json()["results"]
    ids = [row["nct_id"] for row in told["stop-reasons"]]
    assert ids[:3] == ["NCT00000001", "NCT00000002", None]
    assert [row["text"] for row in told["stop-reasons"]] == ["Slow & costly", "funding", None, "x"]
    assert "pregnant women" in told["sex"][0]["text"]
    assert told["stop-reasons"][2]["labels"] is None


def test_many_clients_each_get_their_own(service) -> None:
    words = [f"{text} {number}" for number in range(8) for text in TEXTS]
    alone = {text: ask(service, [text])[0]["probabilities"] for text in words}

    def one(number: int) -> None:
        mine = [words[(number + step) % len(words)] for step in range(1 + number % 4)]
        for text, row in zip(mine, ask(service, mine), strict=True):
            assert row["text"] == text
            assert row["probabilities"] == pytest.approx(alone[text], abs=0.02)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(one, range(200)))


@pytest.mark.parametrize(
    "text",
    ["a\0b", "💊" * 50, "\u200fمريض", "\ud800 half", "x" * 1_000_000, "word " * 190_000, "\u200b", "'; --"],
)
def test_odd_texts_are_read(service, text) -> None:
    body = json.dumps({"texts": [text, "funding"]}).encode()
    reply = service.post("/v1/predict", content=body, headers=PLAIN)
    assert reply.status_code == (422 if text.startswith("\ud800") else 200), reply.text
    assert len(reply.text) < 3_100_000


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"texts": ["\xff"]}', 400, "body"),
        (b"{", 400, "JSON"),
        (b'{"texts": []}', 422, "texts"),
        (b'{"texts": ["a"], "records": [{}]}', 422, "not both"),
        (b'{"texts": [3]}', 422, "texts.0"),
        (b'{"texts": ["a"], "tusks": []}', 422, "tusks"),
        (b'{"texts": ["a"], "tasks": ["weather"]}', 404, "stop-reasons"),
        (json.dumps({"texts": ["a"] * 257}).encode(), 422, "at most 256"),
        (json.dumps({"texts": ["a" * 1_000_001]}).encode(), 422, "1000000"),
        (b" " * 8_000_001, 413, "8,000,000"),
        (b'{"a":' * 50_000, 400, "body"),
    ],
)
def test_wrong_requests_are_told_why(service, body, status, said) -> None:
    reply = service.post("/v1/predict", content=body, headers=PLAIN)
    assert (reply.status_code, said in reply.json()["detail"]) == (status, True), reply.text
    assert "Traceback" not in reply.text and "aaaa" not in reply.text


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_what_is_not_said_to_be_json_is_told_so(service, kind) -> None:
    headers = {"Content-Type": kind} if kind else {}
    reply = service.post("/v1/predict", content=b'{"texts": ["a"]}', headers=headers)
    assert (reply.status_code, "application/json" in reply.json()["detail"]) == (415, True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"texts": [' + b"1," * 1_000_000 + b"1]}",
        b'{"records": [' + b"1," * 1_000_000 + b"1]}",
        b"{" + b",".join(b'"%d": 1' % number for number in range(200_000)) + b"}",
    ],
)
def test_a_million_mistakes_are_told_as_one(service, body) -> None:
    reply = service.post("/v1/predict", content=body, headers=PLAIN)
    assert reply.status_code == 422 and len(reply.text) < 300


def test_a_body_without_a_length_is_counted(service) -> None:
    parts = (b" " * 1_000_000 for _ in range(20))
    assert service.post("/v1/predict", content=parts, headers=PLAIN).status_code == 413


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_noise_is_never_a_failure(service, body) -> None:
    assert service.post("/v1/predict", content=body, headers=PLAIN).status_code in (400, 422)


def test_explain_names_the_words(service) -> None:
    text = "slow recruitment 💊 of patients"
    asked = {"task": "sex", "text": text, "label": "FEMALE"}
    words = service.post("/v1/explain", json=asked).json()["words"]
    assert [text[word["start"] : word["end"]] for word in words] == ["slow", "recruitment", "of", "patients"]
    assert service.post("/v1/explain", json=asked | {"label": "x"}).status_code == 404


def test_watching(service) -> None:
    assert service.get("/healthz").json() == {"status": "ok"}
    assert service.get("/readyz").json() == {"status": "ready"}
    ask(service, TEXTS)
    said = service.get("/metrics").text
    assert 'trialtune_texts_total{task="stop-reasons"}' in said
    assert 'route="/v1/predict",status="200"' in said and "trialtune_waiting_texts" in said
    [stop, sex] = service.get("/v1/models").json()["models"]
    assert len(stop["labels"]) == 17 and all(0 < label["threshold"] < 1 for label in stop["labels"])
    assert sex["labels"][0]["threshold"] is None and sex["kind"] == "multi_class"
    docs = service.get("/docs").text
    assert (
        "swagger-ui" in docs
        and "http://" not in docs.replace(str(service.base_url), "")
        and "cdn" not in docs
    )


def test_a_full_queue_says_when_to_come_back(classifiers, serving) -> None:
    with serving(classifiers[:1], max_queue=4, max_texts=4) as client:
        batcher = client.app.state.served["stop-reasons"].batcher
        decide = batcher._decide
        batcher._decide = lambda texts: time.sleep(0.1) or decide(texts)

        def new(number: int) -> httpx.Response:
            return client.post("/v1/predict", json={"texts": [f"{text} {number}" for text in TEXTS[:4]]})

        with ThreadPoolExecutor(12) as pool:
            replies = list(pool.map(new, range(24)))
        assert {reply.status_code for reply in replies} == {200, 429}
        full = next(reply for reply in replies if reply.status_code == 429)
        assert int(full.headers["Retry-After"]) >= 1
        assert len(ask(client, TEXTS[:4])) == 4


def test_slow_answers_and_slow_bodies_are_given_up(classifiers, serving) -> None:
    with serving(classifiers[:1], timeout=0.3) as client:
        batcher = client.app.state.served["stop-reasons"].batcher
        decide, batcher._decide = batcher._decide, lambda texts: time.sleep(0.8) or decide(texts)
        assert client.post("/v1/predict", json={"texts": ["a"]}).status_code == 504
        why = {"task": "stop-reasons", "text": "a b", "label": "Success"}
        assert client.post("/v1/explain", json=why).status_code == 504
        batcher._decide = decide
        with socket.create_connection((client.base_url.host, client.base_url.port)) as hanging:
            hanging.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert b"408" in hanging.recv(100)
        time.sleep(0.8)
        assert ask(client, ["a"])


@pytest.mark.parametrize("sent", [b"", b"POST /v1/predict HTT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_connection_without_a_request_is_closed(classifiers, serving, sent) -> None:
    with serving(classifiers[:1], timeout=0.5) as client:
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address, timeout=10) as silent:
            silent.sendall(sent)
            assert silent.recv(100) == b""
        assert ask(client, ["a"])


def test_many_large_bodies_at_once_are_too_many(classifiers, serving) -> None:
    with serving(classifiers[:1], max_bytes=100_000) as client:
        address = (client.base_url.host, client.base_url.port)
        head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
        hanging = [socket.create_connection(address) for _ in range(32)]
        for one in hanging:
            one.sendall(head + b" " * 99_999)
        refused = httpx.Response(200)
        while refused.status_code == 200:  # until the server has read them all
            refused = client.post("/v1/predict", json={"texts": ["a" * 1000]})
        assert refused.status_code == 429 and refused.headers["Retry-After"] == "1"
        for one in hanging:
            one.close()
        while client.post("/v1/predict", json={"texts": ["a"]}).status_code == 429:
            time.sleep(0.05)
        assert ask(client, ["a"])


def test_explanations_do_not_hold_up_the_page(classifiers, serving) -> None:
    with serving(classifiers[:1]) as client:
        batcher = client.app.state.served["stop-reasons"].batcher
        decide, go = batcher._decide, threading.Event()
        batcher._decide = lambda texts: go.wait(60) and decide(texts)
        why = {"task": "stop-reasons", "text": "a b", "label": "Success"}
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(client.post, "/v1/explain", json=why) for _ in range(8)]
            busy = next(as_completed(asked)).result()
            assert (busy.status_code, busy.headers["Retry-After"]) == (429, "1")
            assert client.get("/", timeout=5).status_code == 200
            go.set()
            assert {one.result(20).status_code for one in asked} == {200, 429}


def test_the_token(classifiers, serving) -> None:
    with serving(classifiers[:1], token="secret-of-16-characters") as client:
        assert ask(client, ["a"])
        for wrong in ("", "Bearer", "Bearer other", "Basic secret-of-16-characters", "Bearer é"):
            headers = {"Authorization": wrong.encode()}
            refused = client.get("/v1/models", headers=headers)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert refused.json() == {"detail": "give the service's token: Authorization: Bearer ..."}
            assert client.get("/metrics", headers=headers).status_code == 401
            assert client.get("/healthz", headers=headers).status_code == 200
            assert client.get("/readyz", headers=headers).status_code == 200
            assert client.get("/", headers=headers).status_code == 200
        schema = client.get("/openapi.json").json()
        assert schema["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
        asked = {path for path, item in schema["paths"].items() for one in item.values() if "security" in one}
        assert asked == {"/v1/predict", "/v1/explain", "/v1/models", "/metrics"}


def test_a_body_without_the_token_is_not_read(classifiers, serving) -> None:
    with serving(classifiers[:1], token="secret-of-16-characters") as client:
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address, timeout=10) as waiting:
            waiting.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            assert b" 401 " in waiting.recv(100)


def test_stopping_under_load_answers_what_was_accepted(classifiers, serving, caplog) -> None:
    statuses: list[int] = []
    with serving(classifiers[:1]) as client, caplog.at_level(logging.INFO, "trialtune.server"):
        address = str(client.base_url)

        def load() -> None:
            with httpx.Client(base_url=address, timeout=20) as mine:
                while True:
                    try:
                        reply = mine.post("/v1/predict", json={"texts": TEXTS})
                    except (httpx.NetworkError, httpx.RemoteProtocolError):
                        return  # closed before it was read: see the log below
                    statuses.append(reply.status_code)
                    assert len(reply.json()["results"]["stop-reasons"]) == len(TEXTS)

        with ThreadPoolExecutor(8) as pool:
            running = [pool.submit(load) for _ in range(8)]
            while len(statuses) < 30:
                time.sleep(0.01)
            client.server.should_exit = True
            for future in running:
                future.result(20)
    logged = [record.fields["status"] for record in caplog.records if record.getMessage() == "request"]
    assert set(statuses) == {200} and logged == statuses  # what was read was answered, and arrived


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM cannot be caught on Windows")
def test_a_process_that_is_told_to_stop_finishes_its_work(classifiers, tmp_path) -> None:
    """`trialtune serve` itself, and a real SIGTERM while requests are in flight."""
    command = [sys.executable, "-m", "trialtune", "serve", str(classifiers[0]), "--port", "0"]
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        while not (found := re.search(r"on (http://\S+)/", (tmp_path / "log").read_text())):
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)

        def load(number: int) -> int:
            answered = 0
            with httpx.Client(base_url=found[1], timeout=30) as mine:
                while True:
                    texts = [f"{text} {number} {answered}" for text in TEXTS * 4]
                    try:
                        reply = mine.post("/v1/predict", json={"texts": texts})
                    except (httpx.NetworkError, httpx.RemoteProtocolError):
                        return answered
                    rows = reply.json()["results"]["stop-reasons"]
                    assert [row["text"] for row in rows] == texts
                    answered += 1

        with ThreadPoolExecutor(6) as pool:
            running = [pool.submit(load, number) for number in range(6)]
            time.sleep(2)
            process.send_signal(signal.SIGTERM)
            answered = sum(future.result(40) for future in running)
        assert process.wait(30) == -signal.SIGTERM  # raised again when all is done, as uvicorn does
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    logged = [one["status"] for one in map(json.loads, lines) if one["event"] == "request"]
    assert logged == [200] * answered and answered


def test_who_leaves_frees_the_queue(classifiers, serving) -> None:
    with serving(classifiers[:1], max_queue=8, max_texts=8) as client:
        batcher = client.app.state.served["stop-reasons"].batcher
        decide, go = batcher._decide, threading.Event()
        batcher._decide = lambda texts: go.wait(60) and decide(texts)
        where = (client.base_url.host, client.base_url.port)
        body = json.dumps({"texts": [f"{text} alone" for text in TEXTS]}).encode()
        head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        for left in range(1, 5):  # more than find a place at once
            with socket.create_connection(where) as leaving:
                leaving.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            while f'status="499"}} {left}.0' not in client.get("/metrics").text:
                time.sleep(0.05)
        with ThreadPoolExecutor(1) as pool:
            staying = pool.submit(ask, client, TEXTS)
            while batcher.waiting != len(TEXTS) and not staying.done():
                time.sleep(0.01)
            go.set()
            assert len(staying.result(20)) == len(TEXTS)


def test_failures_show_nothing_and_logs_hold_no_texts(classifiers, serving, caplog) -> None:
    secret = "Jane Doe of Springfield"
    with serving(classifiers[:1]) as client, caplog.at_level(logging.INFO, "trialtune.server"):
        batcher = client.app.state.served["stop-reasons"].batcher
        decide = batcher._decide

        def fail(texts):
            raise RuntimeError(f"cannot read {texts}")

        batcher._decide = fail
        reply = client.post("/v1/predict", json={"texts": [secret]})
        assert reply.status_code == 500 and reply.headers["x-request-id"] in reply.json()["detail"]
        assert "RuntimeError" not in reply.text and secret not in reply.text
        batcher._decide = decide
        ask(client, [secret])
    lines = [JsonFormatter().format(record) for record in caplog.records if record.name == "trialtune.server"]
    assert not any("Jane" in line for line in lines)
    assert {json.loads(line).get("status") for line in lines} >= {200, 500}
    assert any(json.loads(line).get("error") == "RuntimeError" for line in lines)


def test_wrong_folders_ports_and_tokens_are_refused(classifiers, tmp_path) -> None:
    with pytest.raises(UsageError, match="have the same task sex"):
        build_app([classifiers[1], classifiers[1]], ServiceSettings())
    with pytest.raises(DataError, match="not a classifier folder"):
        build_app([tmp_path], ServiceSettings())
    with pytest.raises(UsageError, match="max-queue"):
        build_app(classifiers, ServiceSettings(max_queue=3))
    with bind("127.0.0.1", 0) as taken, pytest.raises(UsageError, match="choose another"):
        bind("127.0.0.1", taken.getsockname()[1])
    (tmp_path / "token").write_text("short")
    with pytest.raises(UsageError, match="16 characters"):
        read_token(tmp_path / "token")


def test_the_schema_holds(classifiers) -> None:
    app = build_app(classifiers, ServiceSettings(max_texts=8))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)

    for result in schema.get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
        def check(case) -> None:
            case.call_and_validate()

        check()
    for one in app.state.served.values():
        one.batcher.close()
