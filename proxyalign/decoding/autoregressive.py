"""One token a step: drawn from the base, and from the proxy where that one is deferred. The reference for the law."""

from collections.abc import Mapping

import numpy as np
import torch

from proxyalign.decoding.backends.reference import laws_at
from proxyalign.decoding.job import Job, counts
from proxyalign.decoding.queue import Waiting, joined
from proxyalign.decoding.readers.contract import Both, Reads
from proxyalign.decoding.sampling import Uniforms, at_tokens, check_finite
from proxyalign.decoding.trace import BASE, PROXY, Counts, Record

_MISSED = (1, 2, 4, 8, 16)  # tokens that a proxy which is asked now and then reads together, filled up to these


def decode(job: Job, record: Record) -> Counts:
    """Decode all sequences into the record.

    The proxy runs only at a step where some sequence's token is deferred, and then reads in one pass what it has
    missed; a rule that always defers never runs the base.
    """
    if job.rule.constant is True:
        with job.readers({"proxy": (1,)}) as readers:
            return _decode_proxy_alone(job, record, readers["proxy"])
    asked = {"proxy": (1,) if job.rule.reads("q") else _MISSED} if job.rule.asks_proxy else {}
    with job.readers({"base": (1,), **asked, "reference": (1,)}) as readers:
        return _decode(job, record, readers)


def _decode(job: Job, record: Record, readers: Mapping[str, Reads]) -> Counts:
    waiting, law, backend, device = Waiting(job), job.shaping.law, job.backend, job.pair.device
    uniforms, state = job.uniforms(2), None
    n_before = Both.zeros(0, torch.int64, device)
    while True:
        rows = waiting.admit(record, uniforms, list(readers.values()))
        if not len(record.active):
            break
        if len(rows):
            state = joined(state, job.start(rows))
            n_before = n_before.beside(Both.zeros(len(rows), torch.int64, device))
        u = uniforms.take()  # (B, 2)
        q = law("proxy", readers["proxy"].read(), n_before) if job.rule.reads("q") else None
        q0 = law("reference", readers["reference"].read(), n_before) if "reference" in readers else None
        p = law("base", readers["base"].read(), n_before)  # (B, 1, V)
        drawn = backend.step(job.rule, p, q, q0, state, u)
        check_finite(drawn.q_y, "proxy", n_before.host)
        check_finite(drawn.q0_y, "reference", n_before.host)
        tokens, ids, p_y = drawn.tokens, drawn.ids, drawn.p_y
        thrown, source = drawn.thrown, np.full(ids.shape, BASE, dtype=np.uint8)
        source[thrown.host] = PROXY
        if q is None and thrown.host.any():
            q = law("proxy", readers["proxy"].read(), n_before)
            tokens = backend.draw(q.drawn, u[:, 1:]).where(thrown.device.unsqueeze(1), tokens)
            ids, p_y, q_y = backend.fetch(tokens, at_tokens(p.own, tokens), at_tokens(q.own, tokens))
            check_finite(q_y, "proxy", n_before.host)
        check_finite(p_y, "base", n_before.host)
        wanted = job.wanted(record, 1)
        mass = drawn.mass if drawn.mass.size else np.zeros(ids.shape)
        written = (np.ones_like(n_before.host), ids.astype(np.int64), source, p_y, mass)
        _, goes_on = record.emit(*written, wanted, laws_at(p, wanted))
        states = drawn.states
        if job.rule.follows_tokens:
            states = job.rule.settled(states, drawn.deferred, tokens, torch.zeros_like(n_before.device), p)
        state = None if states is None else states[:, 1]
        n_before = n_before.plus(1)
        for reader in readers.values():
            reader.push(tokens)
        if not goes_on.all():
            left = Both.of(goes_on.nonzero()[0], device)
            parts: list[Reads | Uniforms] = [*readers.values(), uniforms]
            for part in parts:
                part.keep(left)
            state, n_before = None if state is None else state.index_select(0, left.device), n_before.of_rows(left)
    return counts(readers)


def _decode_proxy_alone(job: Job, record: Record, proxy: Reads) -> Counts:
    """Decode under a rule that always defers: D = 1, and the base's p_y is unknown."""
    waiting, law, device = Waiting(job), job.shaping.law, job.pair.device
    uniforms, n_before = job.uniforms(2), Both.zeros(0, torch.int64, device)
    while True:
        rows = waiting.admit(record, uniforms, [proxy])
        if not len(record.active):
            break
        if len(rows):
            n_before = n_before.beside(Both.zeros(len(rows), torch.int64, device))
        u = uniforms.take()
        q = law("proxy", proxy.read(), n_before)
        tokens = job.backend.draw(q.drawn, u[:, 1:])  # by the number that redraws a token where the base runs too
        ids, q_y = job.backend.fetch(tokens, at_tokens(q.own, tokens))
        check_finite(q_y, "proxy", n_before.host)
        ones = np.ones(tokens.shape)
        source = np.full(tokens.shape, PROXY, dtype=np.uint8)
        _, goes_on = record.emit(np.ones_like(n_before.host), ids.astype(np.int64), source, np.nan * ones, ones)
        proxy.push(tokens)
        n_before = n_before.plus(1)
        if not goes_on.all():
            left = Both.of(goes_on.nonzero()[0], device)
            for part in (proxy, uniforms):
                part.keep(left)
            n_before = n_before.of_rows(left)
    return counts({"proxy": proxy})
