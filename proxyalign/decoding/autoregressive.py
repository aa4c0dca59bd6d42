"""One token a step: drawn from the base, and from the proxy where that one is deferred. The reference for the law."""

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from proxyalign.decoding.job import Job
from proxyalign.decoding.sampling import draw, first_draw, law
from proxyalign.decoding.trace import BASE, PROXY, Counts, Trace
from proxyalign.deferral import policy


def decode(job: Job) -> tuple[list[Trace], Counts]:
    """Decode one batch.

    The proxy runs only at a step where some sequence's token is deferred, and then reads in one pass what it has
    missed; a rule that always defers never runs the base.
    """
    if job.rule.constant is True:
        return _decode_proxy_alone(job)
    base, proxy = job.base_reader(), job.proxy_reader()
    uniforms, record = job.uniforms(2), job.record()
    needs_q = "q" in job.rule.needs.split()
    while True:
        u = uniforms.take()  # (B, 2)
        q = law(proxy.read()[:, 0], job.temperature) if needs_q else None
        p = law(base.read()[:, 0], job.temperature)  # (B, V)
        first, deferred = first_draw(job.rule, p, q)
        tokens = draw(first, u[:, 0])  # (B,)
        source, mass = np.full((len(tokens), 1), BASE, dtype=np.uint8), np.zeros((len(tokens), 1))
        if deferred is not None:
            redrawn = deferred.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
            if bool(redrawn.any()):
                q = q or law(proxy.read()[:, 0], job.temperature)
                tokens = draw(q.drawn, u[:, 1]).where(redrawn, tokens)
                source[redrawn.cpu().numpy()] = PROXY
            mass = _host(policy.deferral_mass(p.own, deferred).unsqueeze(-1))
        new = tokens.unsqueeze(-1)
        p_y = _host(p.own.gather(-1, new))
        laws = _host(p.own.unsqueeze(1)) if job.distributions else None
        _, goes_on = record.emit(np.ones(len(tokens), dtype=np.int64), _host(new), source, p_y, mass, laws)
        if not goes_on.any():
            break
        base.push(new)
        if job.asks_proxy:
            proxy.push(new)
        if not goes_on.all():
            for part in (base, proxy, uniforms):
                part.keep(goes_on.nonzero()[0])
    counts = Counts(n_base_passes=base.n_passes, n_proxy_passes=proxy.n_passes)
    return record.traces(job.pair.tokenizer), counts


def _decode_proxy_alone(job: Job) -> tuple[list[Trace], Counts]:
    """Decode one batch under a rule that always defers: D = 1, and the base's p_y is unknown."""
    proxy, uniforms, record = job.proxy_reader(), job.uniforms(2), job.record()
    while True:
        q = law(proxy.read()[:, 0], job.temperature)
        new = draw(q.drawn, uniforms.take()[:, 1]).unsqueeze(-1)  # the number that redraws where a base runs too
        ones = np.ones((len(new), 1))
        source = np.full((len(new), 1), PROXY, dtype=np.uint8)
        _, goes_on = record.emit(ones[:, 0].astype(np.int64), _host(new), source, ones * np.nan, ones, None)
        if not goes_on.any():
            break
        proxy.push(new)
        if not goes_on.all():
            for part in (proxy, uniforms):
                part.keep(goes_on.nonzero()[0])
    return record.traces(job.pair.tokenizer), Counts(n_proxy_passes=proxy.n_passes)


def _host(values: Tensor) -> npt.NDArray[Any]:
    host: npt.NDArray[Any] = values.cpu().numpy()
    return host
