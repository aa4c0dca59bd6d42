"""Windows of drafts made up at random, and when two tests of one window say the same."""

import numpy as np
import torch

from proxyalign.decoding.backends.reference import Backend
from proxyalign.decoding.readers.contract import Both
from proxyalign.deferral.law import Law


def window(shape, seed, temperature=1.0, dtype=torch.float32, spread=3.0):
    """Random logits of the base near the proxy's, the proxy's laws, drafts from these, and uniform numbers."""
    n, n_drafts, n_columns = shape
    make = torch.Generator().manual_seed(seed)
    of_proxy = spread * torch.randn(n, n_drafts, n_columns, generator=make)
    base = spread * torch.randn(n, n_drafts + 1, n_columns, generator=make)
    base[:, :-1] = 0.9 * of_proxy + 0.3 * base[:, :-1]
    q = Law.of(of_proxy, temperature)
    u = torch.rand(n, 2 * n_drafts + 3, dtype=torch.float64, generator=make)
    drafts = Backend().draw(q.drawn, u[:, : 2 * n_drafts : 2])
    owed = (torch.rand(n, generator=make) < 0.3).numpy()
    return base.to(dtype), q, drafts, Both.of(owed, u.device), u, Both.of(np.arange(n), u.device)


def assert_same(found, expected):
    """All that a cycle says, but for the places after the last new token, which have no meaning."""
    for name in ("n_passed", "rejected", "is_open", "is_owed"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    is_drawn = ~found.is_open | found.is_owed  # the token after the accepted ones
    there = np.arange(found.tokens.shape[1]) < (found.n_passed + is_drawn)[:, None]
    for name in ("tokens", "source"):
        np.testing.assert_array_equal(getattr(found, name)[there], getattr(expected, name)[there], err_msg=name)
    for name in ("p_y", "mass"):
        np.testing.assert_allclose(getattr(found, name)[there], getattr(expected, name)[there], atol=1e-6, rtol=0)
