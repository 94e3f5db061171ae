"""The service as a process of its own: hostile and slow clients, SIGTERM, exchange of the model."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pandas as pd
import pytest

from reactor_yield import fit_yield_model, load_yield_model
from reactor_yield.errors import InvalidConditionsError, InvalidModelFileError

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx")

from reactor_yield.serving.app import create_app  # noqa: E402 - only where fastapi is
from reactor_yield.serving.batches import BatchPredictor, BusyError, StoppedError  # noqa: E402
from reactor_yield.serving.capture import CapturedSample  # noqa: E402
from reactor_yield.serving.connections import lacks_rest  # noqa: E402
from reactor_yield.serving.settings import ServiceSettings, read_settings  # noqa: E402

FEATURES = ["Fao", "Fbo", "P", "To", "Cto", "m", "Ta"]
#: Seconds: nothing here is judged by its speed, only what hangs is given up.
PATIENCE = 600
JSON = {"content-type": "application/json", "accept": "application/json"}


@pytest.fixture(scope="module")
def model(data):
    return fit_yield_model(data.iloc[::8], model="ridge")


@pytest.fixture(scope="module")
def one(data):
    return data[FEATURES].iloc[0].to_dict()


def send(app, method="POST", path="/invocations", **options):
    """One request to the application itself, without a port."""

    async def ask():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def app(model):
    return create_app(model, ServiceSettings(max_body=1_000_000, max_rows=2_000))


def test_answers_are_those_of_the_model(app, model, data):
    rows = data[FEATURES].iloc[:700]
    answer = send(app, json=rows.to_dict("records"), headers=JSON)
    assert answer.status_code == 200
    found = pd.DataFrame(answer.json())
    expected = model.predict_interval(rows)
    for column in ("Yc", "lower", "upper"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-9)
    assert found["in_range"].tolist() == expected["in_range"].tolist()
    text = send(app, content=rows.to_csv(index=False), headers={"content-type": "text/csv"}).text
    assert len(text.splitlines()) == 701
    bare = rows.iloc[:2].to_csv(index=False, header=False)
    for kind in ("text/csv", "text/csv; header=absent"):
        answer = send(app, content=bare, headers={"content-type": kind})
        rows_found = [line.split(",") for line in answer.text.splitlines()]
        assert rows_found[0] == text.splitlines()[0].split(",")
        assert [float(r[0]) for r in rows_found[1:]] == pytest.approx(expected["Yc"].iloc[:2])


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"Fao": None}, 200, '"Yc": null'),
        ({"Fao": 1e308}, 400, "1e+308 is not a number"),
        ({"Fao": 1e200}, 200, "is not in"),
        ({"Fao": -5}, 200, '"in_range": false'),
        ({"evil": "<script>"}, 200, '"outside": ""'),
        ({"Fao": "abc"}, 400, "row 0, column 'Fao': \"abc\" is not a number"),
        ({"Fao": "5.8"}, 400, "is not a number"),
        ({"Fao": [1]}, 400, "is not a number"),
        ({"Fao": {"a": 1}}, 400, "is not a number"),
        ({"Fao": True}, 400, "is not a number"),
        ({"Fao": 10**400}, 400, "is not a number"),
        ({f"c{i}": i for i in range(2_000)}, 413, "columns; at most 1000"),
    ],
)
def test_rows_are_judged_flagged_or_refused_by_name(app, one, change, status, said):
    answer = send(app, json=[one | change], headers=JSON)
    assert answer.status_code == status
    assert said in answer.text


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "not JSON"),
        (b"[]", 400, "empty"),
        (b"[{}]", 400, "row 0 lacks 'Fao'"),
        (b"[null]", 400, "list of records"),
        (b'[{"Fao": NaN}]', 400, "NaN is not JSON"),
        (b'[{"Fao": ' + b"9" * 5000 + b"}]", 400, "not JSON"),
        (b"[" * 100_000, 400, "nested more than 8 deep"),
        (b'[{"Fao":' + b"[" * 900 + b"]" * 900 + b"}]", 400, "nested more than 8 deep"),
        (b'[{"Fao":1,"Fao":2}]', 400, "more than once"),
        ("[{}]".encode("utf-16"), 400, "not UTF-8"),
        (b'[{"H\xf6he":1}]', 400, "not UTF-8"),
        (b"[" + b'{"Fao":1},' * 3_000 + b'{"Fao":1}]', 413, "3001 rows; at most 2000"),
        (b" " * 1_000_001, 413, "at most 1000000"),
        (gzip.compress(b"[]", mtime=0), 400, "not UTF-8"),
    ],
)
def test_bodies_are_refused_before_they_are_built(app, body, status, said):
    answer = send(app, content=body, headers=JSON)
    assert answer.status_code == status
    assert said in answer.text


def test_media_types_are_read_as_the_standard_says(app, one):
    body = json.dumps([one])
    for kind in ("Application/JSON", "application/json; charset=UTF-8"):
        assert send(app, content=body, headers={"content-type": kind}).status_code == 200
    for kind in ("application/xml", "", "application/json; charset=latin-1"):
        assert send(app, content=body, headers={"content-type": kind}).status_code == 415
    coded = {"content-type": "application/json", "content-encoding": "gzip"}
    assert send(app, content=body, headers=coded).status_code == 415
    latin = pd.DataFrame([one | {"H\xf6he": 1}]).to_csv(index=False).encode("latin-1")
    kind = {"content-type": 'text/csv; charset="ISO-8859-1"'}
    assert send(app, content=latin, headers=kind).status_code == 200
    for accept, status, answered in (
        ("*/*", 200, "text/csv"),
        ("application/json", 200, "application/json"),
        ("text/*;q=0.5, application/json;q=0.4", 200, "text/csv"),
        ("text/csv, application/json;q=0", 200, "text/csv"),
        ("text/csv;q=0.1, application/json", 200, "application/json"),
        ("application/xml", 406, "text/plain"),
    ):
        headers = {"content-type": "application/json", "accept": accept}
        answer = send(app, content=body, headers=headers)
        assert answer.status_code == status, accept
        assert answer.headers["content-type"].startswith(answered)


def test_a_token_is_required_everywhere_but_on_ping(model, one):
    app = create_app(model, ServiceSettings(token="se-cret"))
    right = {"authorization": "Bearer se-cret"}
    assert send(app, "GET", "/ping").status_code == 200
    for method, path in (
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/execution-parameters"),
        ("POST", "/invocations"),
        ("GET", "/ping/"),
        ("GET", "/nowhere"),
    ):
        assert send(app, method, path).status_code == 401, path
        wrong = {"authorization": "Bearer se-cre"}
        assert send(app, method, path, headers=wrong).status_code == 401, path
    assert send(app, json=[one], headers=right).status_code == 200
    assert send(app, "GET", "/metrics", headers=right).status_code == 200
    assert "se-cret" not in repr(ServiceSettings(token="se-cret"))


def test_alarms_metrics_ids_and_description(model, one):
    app = create_app(model, ServiceSettings(target=1.5))
    answer = send(app, json=[one, one | {"m": None}], headers=JSON | {"x-request-id": "job-7"})
    assert [row["alarm"] for row in answer.json()] == [True, None]
    assert answer.headers["x-request-id"] == "job-7"
    evil = send(app, json=[one], headers=JSON | {"x-request-id": 'a"b'})
    assert evil.headers["x-request-id"] != 'a"b'
    text = send(app, "GET", "/metrics").text
    assert 'requests_total{path="/invocations",status="200"} 2' in text
    assert "reactor_yield_rows_total 3" in text
    assert "reactor_yield_rows_not_judged_total 1" in text
    assert "reactor_yield_alarms_total 2" in text
    assert 'request_seconds_bucket{le="+Inf"} 2' in text
    described = send(app, "GET", "/openapi.json").json()["paths"]["/invocations"]["post"]
    record = described["requestBody"]["content"]["application/json"]["schema"]["items"]
    assert set(record["required"]) == set(FEATURES) - {"Cto"}
    parameters = send(app, "GET", "/execution-parameters").json()
    assert parameters["BatchStrategy"] == "MULTI_RECORD"


def test_a_fault_of_ours_is_logged_and_not_shown(model, one, monkeypatch):
    app = create_app(model)
    service = app.state.service
    monkeypatch.setattr(service, "_note", lambda *_: 1 / 0)
    answer = send(app, json=[one], headers=JSON)
    assert answer.status_code == 500
    assert "ZeroDivisionError" not in answer.text
    assert answer.headers["x-request-id"] in answer.text


def test_batches_of_many_requests_give_each_its_own_rows(model, data):
    predictor = BatchPredictor(max_waiting_rows=5_000)
    sizes = (1, 700, 3, 1, 400)
    rows = [data[FEATURES].iloc[7 * i : 7 * i + n] for i, n in enumerate(sizes)]
    futures = [predictor.submit(model, {c: t[c].tolist() for c in FEATURES}) for t in rows]
    for table, future in zip(rows, futures, strict=True):
        found = future.result(timeout=PATIENCE)
        np.testing.assert_allclose(found["Yc"], model.predict(table)["Yc"], rtol=1e-9)
    assert predictor.waiting_rows == 0
    with pytest.raises(InvalidConditionsError):
        predictor.submit(model, {"Fao": [1.0]}).result(timeout=PATIENCE)
    assert predictor.submit(model, {c: [1.0] for c in FEATURES}).result(timeout=PATIENCE)
    big = {c: data[c].tolist()[:4_000] for c in FEATURES}
    first = predictor.submit(model, big)
    with pytest.raises(BusyError):
        predictor.submit(model, big)
    first.result(timeout=PATIENCE)
    predictor.stop()
    with pytest.raises(StoppedError):
        predictor.submit(model, big)


def test_a_sample_of_the_inputs_is_kept(tmp_path):
    sample = CapturedSample(tmp_path / "sample", share=0.5, seed=0)
    kept = sample.add({"a": [1.0] * 400}, {"y": [2.0] * 400})
    assert 150 < kept < 250
    assert sample.take_due(now=0.0) is None
    table = sample.take_due(force=True)
    path = sample.write(table)
    found = pd.read_csv(path)
    assert list(found) == ["time", "a", "predicted_y"]
    assert len(found) == kept


def test_settings_come_from_the_environment_and_are_checked():
    found = read_settings({"REACTOR_YIELD_MAX_ROWS": "7", "REACTOR_YIELD_TARGET": "0.8", "X": "1"})
    assert (found.max_rows, found.target) == (7, 0.8)
    with pytest.raises(InvalidConditionsError) as caught:
        read_settings({"REACTOR_YIELD_MAX_ROW": "7", "REACTOR_YIELD_TARGET": "high"})
    assert len(caught.value.problems) == 2
    with pytest.raises(InvalidConditionsError, match="max_rows must be above 0"):
        ServiceSettings(max_rows=0)


def test_brackets_are_those_outside_strings(monkeypatch):
    """Found some bytes at a time as by the standard library's own scanner of strings."""
    from json.decoder import scanstring

    from reactor_yield.serving import conditions

    def slowly(body):
        text, found, at = body.decode("latin-1"), [], 0
        while at < len(text):
            if text[at] == '"':
                _, at = scanstring(text, at + 1, False)
                continue
            found += [text[at]] if text[at] in "[]{}" else []
            at += 1
        return "".join(found).encode()

    rng = np.random.default_rng(0)
    texts = ["[", "]{", '"{a}"', '"\\"[\\\\"', '"\\\\"', ": 5.0,", '"' + "x" * 15 + '"', "}", "\n"]
    bodies = ["".join(rng.choice(texts, 40)).encode() for _ in range(200)]
    for size in (20, 31, 10_000):
        monkeypatch.setattr(conditions, "_SCANNED_AT_ONCE", size)
        for body in bodies:
            assert conditions._find_brackets(body) == slowly(body)
    monkeypatch.setattr(conditions, "_SCANNED_AT_ONCE", 20)
    with pytest.raises(conditions.RequestProblem, match="a text of more than 20 bytes"):
        conditions._find_brackets(b'["' + b"x" * 100)
    conditions._find_brackets(b'["' + b"x" * 10)  # what does not end is refused by the parser


def test_many_rows_are_written_as_one_list():
    from reactor_yield.serving.app import _write_json

    found = {"Yc": [0.5, None, 0.25] * 2_500, "outside": ["", 'a "b", []', "c"] * 2_500}
    rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    assert json.loads(_write_json(found)) == rows
    assert _write_json({"Yc": [], "outside": []}) == b"[]"


HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("begun", "lacks"),
    [
        (b"POST /invo", True),
        (HEAD, True),
        (HEAD + b"\r\n", False),
        (b"GET /ping HTTP/1.1\nHost: x\n\n", False),
        (HEAD + b"Content-Length: 5\r\n\r\n[{}]", True),
        (HEAD + b"Content-Length: 5\r\n\r\n[{}]\n", False),
        (HEAD + b"content-length:5\r\n\r\n[{}]\nGET /ping", False),
        (HEAD + b"Content-Length: 1001\r\n\r\n[", False),  # refused by what it announces
        (HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", False),
        (HEAD + b"Content-Length: five\r\n\r\n", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\n[{}]\r\n", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\n[{}]\r\n0\r\n\r\n", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n000;a=b\r\n\r\n", False),
        (b"\x16\x03\x01", False),  # TLS
        (b"\r\n", False),
        (b"x" * 65_535, True),
        (b"x" * 65_536, False),
    ],
)
def test_a_request_is_begun_with_when_it_is_whole(begun, lacks):
    assert lacks_rest(bytearray(begun), 1_000) is lacks


# As a process


class Service:
    """`reactor-yield serve` on a free port."""

    def __init__(self, model_file, **settings):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {"read_seconds": 100 * PATIENCE, "answer_seconds": 100 * PATIENCE} | settings
        names = {f"REACTOR_YIELD_{k.upper()}": str(v) for k, v in settings.items()}
        command = [sys.executable, "-m", "reactor_yield", "serve", str(model_file)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            env=os.environ | names,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Its first line says that it starts; it is up when it can be connected to.
        self.first = self.process.stderr.readline()
        while self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                break
            time.sleep(0.01)
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()

    def ask(self, body=b"", method="POST", path="/invocations", headers=JSON):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=PATIENCE)
        self.reader.join()
        self.process.stderr.close()
        return code


@pytest.fixture
def model_file(model, tmp_path):
    model.save(tmp_path / "model.zip")
    return tmp_path / "model.zip"


def half_sent(port, text):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(text)
    return connection


HALF = (
    b"",
    b"POST /invo",
    b"POST /invocations HTTP/1.1\r\nHost: x\r\n",
    b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100000\r\n\r\n[",
)


def test_half_sent_requests_are_closed_in_time(model_file, one):
    service = Service(model_file, read_seconds=1)
    connections = [half_sent(service.port, HALF[i % 4]) for i in range(80)]
    assert service.ask(json.dumps([one]))[0] == 200
    for connection in connections:
        connection.settimeout(PATIENCE)
        assert connection.recv(100) == b""  # closed by the service
        connection.close()
    assert service.ask(b"", "GET", "/ping")[0] == 200
    service.stop()


def test_requests_in_pieces_are_answered_and_late_ones_counted(model_file, one):
    """Whole bodies, chunks and requests behind each other, a few bytes at a time."""
    service = Service(model_file, read_seconds=5)
    body = json.dumps([one]).encode()
    head = HALF[2] + b"Content-Type: application/json\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:7], body[7:])) + b"0\r\n\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    sent = whole + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    sent += b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for size in (1, 50, len(whole) - 3, len(whole) + 9, len(sent)):
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for first in range(0, len(sent), size):
                connection.sendall(sent[first : first + size])
            connection.settimeout(PATIENCE)
            answers = b""
            while part := connection.recv(100_000):
                answers += part
        assert answers.count(b"HTTP/1.1 200 OK") == 3
    # Asked to go on, a client sends the rest; one that announces too much is told so at once.
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.settimeout(PATIENCE)
        connection.sendall(whole.replace(b"Content-T", b"Expect: 100-continue\r\nContent-T")[:-9])
        assert connection.recv(1_000).startswith(b"HTTP/1.1 100")
        connection.sendall(whole[-9:])
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200")
    with half_sent(service.port, head + b"Content-Length: 99000000000\r\n\r\n[") as connection:
        connection.settimeout(PATIENCE)
        assert connection.recv(1_000).startswith(b"HTTP/1.1 413")
    late = [half_sent(service.port, text) for text in HALF]
    for connection in late:
        connection.settimeout(PATIENCE)
        assert connection.recv(100) == b""
        connection.close()
    said = service.ask(b"", "GET", "/metrics")[1]
    assert "reactor_yield_late_requests_total 4" in said
    service.stop()


def test_sigterm_waits_for_no_half_sent_request(model_file):
    service = Service(model_file, read_seconds=100 * PATIENCE, shutdown_seconds=100 * PATIENCE)
    connections = [half_sent(service.port, HALF[i % 4]) for i in range(80)]
    assert service.ask(b"", "GET", "/ping")[0] == 200
    # With so long for everything the process ends at once or this test does not.
    assert service.stop() in (0, -signal.SIGTERM)
    for connection in connections:
        connection.close()
    errors = [line for line in service.log if '"level": "error"' in line]
    assert not errors


def test_the_model_is_exchanged_without_losing_a_request(model_file, data, one):
    service = Service(model_file, reload_seconds=0.05)
    before = json.loads(service.ask(json.dumps([one]))[1])[0]["Yc"]
    answers, stop = [], threading.Event()

    def ask_on():
        while not stop.is_set():
            answers.append(service.ask(json.dumps([one])))

    threads = [threading.Thread(target=ask_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    other = data.iloc[::8].assign(Yc=lambda t: t["Yc"] / 2)
    fit_yield_model(other, model="ridge").save(model_file)
    for _ in range(12_000):
        if answers and json.loads(answers[-1][1])[0]["Yc"] < 0.75 * before:
            break
        time.sleep(0.05)
    model_file.write_bytes(b"no model")  # refused: the one in use goes on
    for _ in range(12_000):
        if 'model_reloads_total{outcome="refused"} 1' in service.ask(b"", "GET", "/metrics")[1]:
            break
        time.sleep(0.05)
    n_before = len(answers)
    while len(answers) < n_before + 5:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    service.stop()
    assert {status for status, _ in answers} == {200}
    found = [json.loads(text)[0]["Yc"] for _, text in answers]
    assert found[0] == pytest.approx(before)
    assert found[-1] == pytest.approx(before / 2, rel=0.2)
    lines = [json.loads(line) for line in service.log]
    assert any(line["event"] == "model exchanged" for line in lines)
    assert any("the old one goes on" in line["event"] for line in lines)


def test_logs_are_lines_of_json_without_bodies_or_tokens(model_file, one):
    service = Service(model_file, token="se-cret")
    headers = JSON | {"authorization": "Bearer se-cret"}
    assert service.ask(json.dumps([one | {"note": "private"}]), headers=headers)[0] == 200
    assert service.ask(json.dumps([one]), headers=JSON | {"authorization": "se-cret"})[0] == 401
    service.stop()
    lines = [json.loads(line) for line in (service.first, *service.log)]
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["status"] for line in requests] == [200, 401]
    assert requests[0]["rows"] == 1
    assert not any("se-cret" in json.dumps(line) or "private" in json.dumps(line) for line in lines)


def test_damaged_and_malicious_model_files_are_refused(model, model_file, tmp_path, capfd):
    """Loading executes nothing: the pickles would write a file."""
    from reactor_yield.cli import main

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'executed'}",)

    whole = model_file.read_bytes()
    bad = {
        "truncated": whole[: len(whole) // 2],
        "pickle": pickle.dumps(Evil()),
        "empty": b"",
        "list": None,
        "evil skops": None,
        "tampered": None,
    }
    for name, content in bad.items():
        path = tmp_path / "bad.zip"
        if content is not None:
            path.write_bytes(content)
        elif name == "list":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("model.json", "[1]")
        else:
            shutil.copy(model_file, path)
            with zipfile.ZipFile(model_file) as old:
                entries = {n: old.read(n) for n in old.namelist()}
            if name == "tampered":
                entries["model.json"] = entries["model.json"].replace(b'"Yc"', b'"Yd"')
            else:
                entries["estimator.skops"] = pickle.dumps(Evil())
            with zipfile.ZipFile(path, "w") as archive:
                for entry, data in entries.items():
                    archive.writestr(entry, data)
        with pytest.raises(InvalidModelFileError, match=r"bad\.zip"):
            load_yield_model(path)
        assert main(["serve", str(path)]) == 2, name
    assert not (tmp_path / "executed").exists()
    assert capfd.readouterr().err.count("reactor-yield: ") == len(bad)
