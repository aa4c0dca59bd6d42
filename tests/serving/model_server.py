"""A small OpenAI-compatible server around a model, in this process: honest, or dishonest in a way that is asked for."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from proxyalign.models.token_bytes import TokenBytes
from proxyalign.models.tokens import ids_of_prompt
from proxyalign.serving.answers import ends_in_half

OWNERS = {"vllm": "vllm", "llamacpp": "llamacpp", "openai": "organization-owner"}
_OPENAI_FIELDS = {
    "model", "prompt", "max_tokens", "temperature", "logprobs", "seed", "top_p", "presence_penalty",
    "frequency_penalty", "n", "stream",
}  # fmt: skip


class ModelServer:
    """Serves a model in the form of vLLM, llama.cpp or OpenAI; a context manager.

    top_k: draws from so many likeliest tokens alone, whatever is asked. shows: what log-probabilities are of, "law",
    "tempered" (by the request's temperature) or "truncated" (renormalised after top_k); "nothing" leaves them out.
    failures: statuses with which the first requests for completions are answered. key: without which they are refused.
    deaths: how many tokens it writes until it breaks off every connection, each time. away: seconds until it is back,
    None for never.
    """

    def __init__(self, model: Any, tokenizer: Any, form: str = "vllm", **behaviour: Any) -> None:
        self.model, self.tokenizer, self.form = model, tokenizer, form
        self.top_k: int | None = None
        self.shows = "law"
        self.failures: list[int] = []
        self.key: str | None = None
        self.deaths: list[int] = []
        self.away: float | None = 0.05
        self.n_deaths = 0
        self.stops_with = "stop"
        vars(self).update(behaviour)
        self.strings = TokenBytes(tokenizer).strings
        self.bodies: list[dict[str, Any]] = []
        self.n_written = 0
        self._lock, self._dying = threading.Lock(), threading.Lock()
        self._open: set[socket.socket] = set()
        self._port = 0

    def __enter__(self) -> "ModelServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        """Listen, at the same port as before."""
        server = self

        class Handler(_Handler):
            served = server

        self._http = _Quiet(("127.0.0.1", self._port), Handler)
        self._port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def kill(self) -> None:
        """Stop listening and break off every connection."""
        self._http.shutdown()
        self._http.server_close()
        with self._lock:
            opened, self._open = list(self._open), set()
        for one in opened:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def die(self) -> None:
        """Be killed, and start again after a while."""
        with self._dying:
            self.kill()
            self.n_deaths += 1
            if self.away is not None:
                time.sleep(self.away)
                self.start()

    def law(self, logits: torch.Tensor, temperature: float) -> np.ndarray:
        """What is drawn from (V,): the law at this temperature, cut where `top_k` says so."""
        if temperature == 0.0:
            return np.eye(len(logits))[int(logits.argmax())]
        p = (logits.double() / temperature).softmax(-1).numpy()
        if self.top_k is not None:
            p[np.argsort(-p, kind="stable")[self.top_k :]] = 0.0
            p /= p.sum()
        return p

    def shown(self, logits: torch.Tensor, temperature: float) -> np.ndarray:
        """The log-probabilities that are shown (V,)."""
        with np.errstate(divide="ignore"):
            if self.shows == "tempered":
                return np.log((logits.double() / max(temperature, 1e-3)).softmax(-1).numpy())
            if self.shows == "truncated":
                return np.log(self.law(logits, 1.0))
            return logits.double().log_softmax(-1).numpy()

    def tokens(self, body: dict[str, Any]) -> Iterator[tuple[int, np.ndarray]]:
        """Ids that are drawn, up to an end of text, and the log-probabilities of each place (V,)."""
        prompt = body["prompt"]
        ids = ids_of_prompt(self.tokenizer, prompt) if isinstance(prompt, str) else list(prompt)
        generator = np.random.default_rng(body["seed"])
        cache, unread = DynamicCache(), ids
        for _ in range(body["max_tokens"]):
            with self._lock, torch.inference_mode():
                out = self.model(input_ids=torch.tensor([unread]), past_key_values=cache, use_cache=True)
                self.n_written += 1
                if self.deaths and self.n_written > self.deaths[0]:
                    del self.deaths[0]
                    self.n_written = 0
                    raise ConnectionAbortedError
            logits = out.logits[0, -1, : len(self.strings)]
            bias = torch.zeros(len(logits), dtype=torch.float64)
            for i, amount in body.get("logit_bias", ()):
                bias[i] = amount
            token = int(generator.choice(len(logits), p=self.law(logits + bias, body["temperature"])))
            if body.get("post_sampling_probs"):
                yield token, np.log(self.law(logits + bias, body["temperature"]) + 1e-300)
            else:
                yield token, self.shown(logits, body["temperature"])
            unread = [token]
            if token == self.tokenizer.eos_token_id:
                return

    def choices(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The choices of a stream, one for each token that is shown, and a last one without."""
        pending, n_tokens, token = b"", 0, -1
        for token, logs in self.tokens(body):
            n_tokens += 1
            pending += self.strings[token] or b""
            is_half = ends_in_half(pending)
            text = "" if is_half else pending.decode("utf-8", "replace")
            if self.form == "llamacpp":
                if is_half:
                    continue
                shown = self._of_llamacpp(token, logs, pending, body)
            else:
                shown = self._named(token, logs, body)
            pending = pending if is_half else b""
            yield {"text": text, "logprobs": None if self.shows == "nothing" else shown, "finish_reason": None}
        ended = token == self.tokenizer.eos_token_id
        yield {"text": "", "logprobs": None, "finish_reason": self.stops_with if ended else "length"}

    def _of_llamacpp(self, token: int, logs: np.ndarray, string: bytes, body: dict[str, Any]) -> dict[str, Any]:
        is_after = bool(body.get("post_sampling_probs"))

        def one(i: int, spelt: bytes) -> dict[str, Any]:
            likely = {"prob": float(np.exp(logs[i]))} if is_after else {"logprob": max(float(logs[i]), -3e38)}
            return {"id": i, "token": spelt.decode("utf-8", "ignore"), "bytes": list(spelt), **likely}

        top = [one(int(i), self.strings[i] or b"") for i in np.argsort(-logs, kind="stable")[: body["logprobs"]]]
        return {"content": [{**one(token, string), "top_probs" if is_after else "top_logprobs": top}]}

    def _named(self, token: int, logs: np.ndarray, body: dict[str, Any]) -> dict[str, Any]:
        def name(i: int) -> str:
            if body.get("return_tokens_as_token_ids"):
                return f"token_id:{i}"
            string = self.strings[i]
            if string is None:
                return str(self.tokenizer.convert_ids_to_tokens(i))
            if self.form == "openai" and "\ufffd" in string.decode("utf-8", "replace"):
                return "bytes:" + "".join(f"\\x{byte:02x}" for byte in string)
            return string.decode("utf-8", "replace")

        best = [*np.argsort(-logs, kind="stable")[: body["logprobs"]].tolist(), token]
        top = {name(i): max(float(logs[i]), -9999.0) for i in best}
        return {"tokens": [name(token)], "token_logprobs": [top[name(token)]], "top_logprobs": [top]}


class _Quiet(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    served: ModelServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.served._open.add(self.connection)

    def finish(self) -> None:
        self.served._open.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            return self._answer(200, {"data": [{"id": "base", "owned_by": OWNERS[self.served.form]}]})
        if self.path == "/props" and self.served.form == "llamacpp":
            return self._answer(200, {"total_slots": 2})
        return self._answer(404, {"error": {"message": "no such path"}})

    def do_POST(self) -> None:
        served = self.served
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if served.failures:
            return self._answer(served.failures.pop(0), {"error": {"message": "overloaded"}})
        if served.key is not None and self.headers.get("Authorization") != f"Bearer {served.key}":
            return self._answer(401, {"error": {"message": f"Incorrect key: {self.headers.get('Authorization')}"}})
        if served.form == "openai" and (set(body) - _OPENAI_FIELDS or body["logprobs"] > 5):
            return self._answer(400, {"error": {"message": "unrecognized argument"}})
        served.bodies.append(body)
        if not body.get("stream"):
            return self._answer(200, {"choices": _merged(list(served.choices(body)))})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for choice in served.choices(body):
                self._event(json.dumps({"choices": [choice]}))
            self._event("[DONE]")
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionAbortedError:
            threading.Thread(target=served.die).start()
            self.close_connection = True
        return None

    def _event(self, data: str) -> None:
        line = f"data: {data}\n\n".encode()
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()

    def _answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _merged(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One choice of those of a stream."""
    logs = [choice["logprobs"] for choice in choices if choice["logprobs"]]
    together = {key: [one for log in logs for one in log[key]] for key in (logs[0] if logs else ())}
    text = "".join(choice["text"] for choice in choices)
    return [{"text": text, "logprobs": together or None, "finish_reason": choices[-1]["finish_reason"]}]
