"""The proxy of a served base: a local model that reads a text only when it is asked to write in it."""

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from proxyalign.decoding.backends.reference import Backend
from proxyalign.decoding.readers.growing import Reader
from proxyalign.decoding.sampling import LARGEST, check_finite, generator_of
from proxyalign.deferral.law import tempered
from proxyalign.errors import InputError
from proxyalign.models.modes import evaluating
from proxyalign.models.wrapped import device_of, logit_width, steady_context_of
from proxyalign.serving.pieces import Pieces


class LocalProxy:
    """A causal language model of transformers that writes a piece now and then, in several texts at once.

    passes: forward passes made, by number of positions.
    """

    def __init__(self, model: Any, pieces: Pieces, temperature: float) -> None:
        self.passes: Counter[int] = Counter()
        self.pieces = pieces
        self.context = steady_context_of(model)
        self._model = model
        self._temperature = temperature
        self._width = logit_width(model)
        self._one_at_a_time = threading.Lock()  # its passes use all cores

    def evaluating(self) -> AbstractContextManager[None]:
        """A context in which the model is in evaluation mode."""
        return evaluating([self._model])

    def beside(self, prompt: Sequence[int]) -> "Readings":
        """A text of which it has read nothing yet."""
        return Readings(self, prompt)


class Readings:
    """The proxy's reading of one text: its own prompt, and its own ids of each piece."""

    def __init__(self, proxy: LocalProxy, prompt: Sequence[int]) -> None:
        self._proxy = proxy
        self._reader = Reader("proxy", proxy._model, proxy._width, proxy.context)
        self._unread = list(prompt)
        self._n_read = 0  # pieces
        self._n_ids = 0

    def write(self, pieces: Sequence[int], number: float) -> int:
        """The next piece after these, all of the text so far, drawn by a uniform number in [0, 1)."""
        proxy, own = self._proxy, self._proxy.pieces
        self._unread += [i for piece in pieces[self._n_read :] for i in own.read_by_proxy(piece)]
        self._n_read = len(pieces)
        self._n_ids += len(self._unread)
        if proxy.context is not None and self._n_ids > proxy.context:
            raise InputError(
                f"generate: the proxy's prompt and answer must fit its context of {proxy.context} tokens, got "
                f"{self._n_ids}; shorten the prompt or lower max_new_tokens"
            )
        with proxy._one_at_a_time, torch.inference_mode():
            self._reader.push(torch.tensor([self._unread], device=device_of(proxy._model)))
            logits = own.law_of_proxy(self._reader.read()[0, -1])
            proxy.passes[len(self._unread)] += 1
            self._unread = []
            law = tempered(logits, proxy._temperature)
            check_finite(law.sum().numpy(force=True).reshape(1, 1), "proxy", np.array([len(pieces)]))
            u = torch.tensor(min(number, LARGEST), dtype=torch.float64, device=law.device)
            return own.written_by_proxy(int(Backend().draw(law, u)))


def uniform(seed: int, *place: int) -> float:
    """A uniform number in [0, 1) for a place: prompt, sample and position."""
    return float(generator_of(seed, *place).random())


def seed_of_request(seed: int, *place: int) -> int:
    """A seed for a server, in 31 bits, which all of them take, for a place: prompt, sample, position and attempt."""
    return int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1)[0] >> 1)
