"""Between a server and its clients: who hangs up, who has to wait, and how the server itself comes to its end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="starlette and uvicorn are not installed (extra [serve])")
httpx = pytest.importorskip("httpx2", reason="httpx2 is not installed (extra [test])")

from served_here import MODEL, client_of, engine_of, service_of, url_of  # noqa: E402

GOES_ON = {"0": -100}  # the lab pair's end of text is forbidden
LONG = {"model": MODEL, "prompt": "Question: Who?\n", "max_tokens": 480, "logit_bias": GOES_ON, "seed": 1}


@pytest.fixture
def slow(lab):
    """The lab pair, each of whose base's passes takes some time; how many there were."""
    passes = []

    def act(*_):
        passes.append(1)
        time.sleep(0.01)

    handle = lab.base.register_forward_pre_hook(act)
    yield passes
    handle.remove()


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_client_that_hangs_up_frees_its_rows(lab, slow, is_stream):
    """Fails when an answer is decoded to its end for nobody."""
    with engine_of(lab, batch_size=4) as engine, url_of(service_of(engine)) as url, httpx.Client(timeout=60) as client:
        asked = {**LONG, "n": 3, "stream": is_stream}
        if is_stream:
            with client.stream("POST", f"{url}/completions", json=asked) as answer:
                assert next(answer.iter_lines()).startswith("data: ")
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post(f"{url}/completions", json=asked, timeout=0.5)
        give_up = time.monotonic() + 60
        while engine.n_running and time.monotonic() < give_up:
            time.sleep(0.01)
        assert not engine.n_running
        assert len(slow) < 400  # of the 480 that they had asked for
        assert client.post(f"{url}/completions", json={**LONG, "max_tokens": 3}).status_code == 200


def test_a_full_queue_is_told_with_the_time_to_come_again(lab, slow):
    """Fails when a client waits without an end, or is turned away without being told that it may come again."""
    with engine_of(lab, batch_size=1, queue=2) as engine, url_of(service_of(engine)) as url:
        asked = {**LONG, "max_tokens": 40}
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(httpx.post(f"{url}/completions", json=asked, timeout=120)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in found if answer.status_code == 429]
        assert 5 <= len(refused) <= 6  # one runs, or is about to, and two wait
        assert all(answer.headers["retry-after"] == "1" for answer in refused)
        assert "sequences may wait" in refused[0].json()["error"]["message"]
        assert refused[0].json()["error"]["type"] == "rate_limit_error"
        assert sum(answer.status_code == 200 for answer in found) == 8 - len(refused)
        streamed = [httpx.post(f"{url}/completions", json={**asked, "stream": True, "n": 2}, timeout=60)]
        assert streamed[0].status_code == 200
        assert streamed[0].text.endswith("data: [DONE]\n\n")


def test_an_error_on_the_way_is_told_to_its_client_alone(lab):
    """Fails when a stream that breaks ends like one that is whole, or the error's own words are shown."""

    def act(_, __, given):
        if 77 in given["input_ids"]:
            raise RuntimeError("inner matters")

    asked = {"model": MODEL, "max_tokens": 3, "temperature": 0}
    handle = lab.base.register_forward_pre_hook(act, with_kwargs=True)
    try:
        with client_of(lab, batch_size=2) as client:
            for body in ({"prompt": [5, 77]}, {"prompt": [5, 77], "stream": True}):
                answer = client.post("/v1/completions", json={**asked, **body})
                assert answer.status_code == 500
                error = answer.json()["error"]
                assert error["type"] == "server_error"
                assert "could not be finished: the engine failed with RuntimeError" in error["message"]
                assert "inner" not in answer.text
            assert client.post("/v1/completions", json={**asked, "prompt": [5, 7]}).status_code == 200
    finally:
        handle.remove()


class Process:
    """`proxyalign serve` as a process of its own."""

    def __init__(self, *options, **environment):
        command = [sys.executable, "-c", "from proxyalign.cli import main; main()", "serve", "--port", "0", "--json"]
        self.process = subprocess.Popen(
            [*command, "--rule", "dual", "--alpha", "0.4", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
        )  # fmt: skip
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.told = json.loads(line)
        self.url = self.told["url"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_finishes_what_it_has_begun(sign):
    """Fails when an answer is cut off, a new request is let in or hangs, or the process ends with an error."""
    asked = {**LONG, "n": 4, "max_tokens": 300, "stream": True}
    with Process("--grace", "300") as server, httpx.Client(timeout=120) as client:
        assert server.told["model"] == MODEL
        with client.stream("POST", f"{server.url}/completions", json=asked) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            server.process.send_signal(sign)
            give_up = time.monotonic() + 60
            while httpx.get(server.url.replace("/v1", "/health")).status_code == 200:
                assert time.monotonic() < give_up
            late = httpx.post(f"{server.url}/completions", json={**LONG, "max_tokens": 1})
            assert late.status_code == 503
            assert "as it stops" in late.json()["error"]["message"]
            pieces = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        reasons = [piece["choices"][0]["finish_reason"] for piece in pieces]
        assert reasons.count("length") == 4
        assert server.process.wait(60) == 0
        assert server.process.stderr.read() == ""


def test_what_outlasts_the_grace_is_cut_off_and_the_key_comes_from_the_environment():
    """Fails when one long answer keeps a server from stopping, or the key is not read or is shown."""
    with Process("--grace", "0", PROXYALIGN_API_KEY="secret") as server, httpx.Client(timeout=120) as client:
        assert "secret" not in json.dumps(server.told)
        assert client.get(f"{server.url}/models").status_code == 401
        client.headers["Authorization"] = "Bearer secret"
        assert client.get(f"{server.url}/models").json()["data"][0]["id"] == MODEL
        asked = {**LONG, "n": 8, "stream": True}
        with client.stream("POST", f"{server.url}/completions", json=asked) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            server.process.send_signal(signal.SIGTERM)
            try:
                rest = list(lines)
            except httpx.RemoteProtocolError:
                rest = []
        assert "data: [DONE]" not in rest
        assert server.process.wait(60) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--port", "70000"], "port must be a whole number in [0, 65535], got 70000"),
        (
            ["--host", "no.such.host.invalid"],
            "host must be a name or an address of this machine, got 'no.such.host.invalid'",
        ),
        (["--max-length", "513"], "max_length must be a whole number in [2, 512], got 513"),
        (["--max-length", "0"], "max_length must be a whole number in [2, 512], got 0"),
        (["--max-tokens", "0"], "max_tokens must be a whole number in [1, 511], got 0"),
        (["--max-tokens", "512"], "max_tokens must be"),
        (["--batch-size", "0"], "batch_size must be a whole number of at least 1"),
        (["--queue", "0"], "queue must be"),
        (["--grace", "-1"], "grace must be a finite number of at least 0, got -1"),
        (["--grace", "nan"], "grace must be"),
        (["--window", "wide"], "--window must be"),
        (["--mode", "fast"], "mode must be autoregressive or speculative"),
        (["--proxy-chat"], "must have a chat template"),
        (["--pair", "nowhere"], "name must be"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_sentence(command, monkeypatch, options, told):
    """Fails when a wrong option is found out by the first client."""
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: pytest.fail("it is served"))
    code, out, err = command("serve", "--rule", "dual", "--alpha", "0.4", "--port", 0, *options)
    assert code == 2
    assert not out
    assert told in err
    assert "Traceback" not in err


def test_without_the_extra_one_sentence_tells_what_to_install(command, monkeypatch):
    """Fails when a missing package is told by somebody else's traceback."""
    for name in [name for name in sys.modules if name.startswith("proxyalign.serving.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = command("serve", "--rule", "dual", "--alpha", "0.4", "--port", 0)
    assert code == 2
    assert "run pip install 'proxyalign[serve]'" in err


def test_a_client_that_hangs_up_before_its_request_is_whole_is_forgotten(lab, caplog):
    """Fails when half a request is answered, told as a defect of the server's, or counted as in flight for good."""
    with engine_of(lab, batch_size=1) as engine:
        service = service_of(engine)
        with url_of(service) as url:
            host, port = url[len("http://") : -len("/v1")].split(":")
            with socket.create_connection((host, int(port))) as half:
                half.sendall(
                    b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    b'Content-Length: 99\r\n\r\n{"model"'
                )
            assert httpx.post(f"{url}/completions", json={**LONG, "max_tokens": 1}).status_code == 200
        assert service.n_in_flight == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
