"""One token a step: drawn from the base, and from the proxy where that one is deferred. The reference for the law."""

import numpy as np
import torch

from proxyalign.decoding.job import Job
from proxyalign.decoding.queue import Waiting, joined
from proxyalign.decoding.sampling import at_tokens, check_finite
from proxyalign.decoding.trace import BASE, PROXY, Counts, Record
from proxyalign.deferral import policy


def decode(job: Job, record: Record) -> Counts:
    """Decode all sequences into the record.

    The proxy runs only at a step where some sequence's token is deferred, and then reads in one pass what it has
    missed; a rule that always defers never runs the base.
    """
    if job.rule.constant is True:
        return _decode_proxy_alone(job, record)
    waiting, law, backend = Waiting(job), job.shaping.law, job.backend
    base, proxy, reference = job.reader("base"), job.reader("proxy"), job.reference()
    readers = [base, *([proxy] if job.rule.asks_proxy else []), *([] if reference is None else [reference])]
    uniforms, state = job.uniforms(2), None
    while True:
        rows = waiting.admit(record, uniforms, readers)
        if not len(record.active):
            break
        if len(rows):
            state = joined(state, job.start(rows))
        u, n_before = uniforms.take(), record.n_emitted  # (B, 2), (B,)
        q = law("proxy", proxy.read(), n_before) if job.rule.reads("q") else None
        q0 = law("reference", reference.read(), n_before) if reference is not None else None
        p = law("base", base.read(), n_before)  # (B, 1, V)
        first, deferred, states = job.rule.propose(p, q, q0, state)
        tokens = backend.draw(first, u[:, :1])  # (B, 1)
        nothing = tokens[:, :0]
        ids, p_y, thrown, mass, q_y, q0_y = backend.fetch(
            tokens,
            at_tokens(p.own, tokens),
            nothing if deferred is None else at_tokens(deferred, tokens),
            nothing if deferred is None else policy.deferral_mass(p.own, deferred),
            nothing if q is None else at_tokens(q.own, tokens),
            nothing if q0 is None else at_tokens(q0.own, tokens),
        )
        check_finite(q_y, "proxy", n_before)
        check_finite(q0_y, "reference", n_before)
        redrawn, source = thrown > 0, np.full(ids.shape, BASE, dtype=np.uint8)
        if redrawn.any():
            q = q or law("proxy", proxy.read(), n_before)
            again = backend.draw(q.drawn, u[:, 1:])
            tokens = again.where(torch.from_numpy(redrawn).to(again.device), tokens)
            ids, p_y, q_y = backend.fetch(tokens, at_tokens(p.own, tokens), at_tokens(q.own, tokens))
            check_finite(q_y, "proxy", n_before)
            source[redrawn] = PROXY
        check_finite(p_y, "base", n_before)
        laws = p.own.cpu().numpy() if job.distributions else None
        _, goes_on = record.emit(
            np.ones_like(n_before), ids.astype(np.int64), source, p_y, mass if mass.size else np.zeros(ids.shape), laws
        )
        state = None if states is None else states[:, 1]
        for reader in readers:
            reader.push(tokens)
        if not goes_on.all():
            left = goes_on.nonzero()[0]
            for reader in readers:
                reader.keep(left)
            uniforms.keep(left)
            state = None if state is None else state[left]
    return Counts(base_passes=dict(base.passes), proxy_passes=dict(proxy.passes))


def _decode_proxy_alone(job: Job, record: Record) -> Counts:
    """Decode under a rule that always defers: D = 1, and the base's p_y is unknown."""
    waiting, law = Waiting(job), job.shaping.law
    proxy, uniforms = job.reader("proxy"), job.uniforms(2)
    while True:
        waiting.admit(record, uniforms, [proxy])
        if not len(record.active):
            break
        u, n_before = uniforms.take(), record.n_emitted
        q = law("proxy", proxy.read(), n_before)
        tokens = job.backend.draw(q.drawn, u[:, 1:])  # by the number that redraws a token where the base runs too
        ids, q_y = job.backend.fetch(tokens, at_tokens(q.own, tokens))
        check_finite(q_y, "proxy", n_before)
        ones = np.ones(tokens.shape)
        source = np.full(tokens.shape, PROXY, dtype=np.uint8)
        _, goes_on = record.emit(np.ones_like(n_before), ids.astype(np.int64), source, np.nan * ones, ones, None)
        proxy.push(tokens)
        if not goes_on.all():
            for part in (proxy, uniforms):
                part.keep(goes_on.nonzero()[0])
    return Counts(proxy_passes=dict(proxy.passes))
