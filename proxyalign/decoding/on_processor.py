"""The test of a window on a processor, in a compiled pass."""

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from proxyalign.decoding.cache import BoolArray
from proxyalign.decoding.cycle import Tested
from proxyalign.decoding.processor_kernels import test_rows
from proxyalign.decoding.sampling import at_tokens
from proxyalign.deferral.law import Law


def test(
    p: Law, q: Law, q0: Law | None, first: Tensor, deferred: Tensor | None, drafts: Tensor, owed: BoolArray, u: Tensor
) -> Tested:
    """As `on_device.test`. Masses are 0 after the last new token."""
    (n_rows, n_drafts), n_places = drafts.shape, first.shape[1]
    ids, of_first = drafts.numpy(), _array(first)
    own = of_first if p.own is first else _array(p.own, of_first.dtype)
    sets = np.empty((n_rows, n_places, 0), dtype=np.bool_) if deferred is None else _array(deferred)
    outcome, thrown = np.empty((n_rows, 2), dtype=np.int64), np.zeros((n_rows, 1), dtype=np.bool_)
    p_y, mass = np.zeros((n_rows, n_drafts + 1)), np.zeros((n_rows, n_drafts + 1))
    of_proxy = _array(q.drawn, of_first.dtype)
    test_rows(own, of_first, own is of_first, of_proxy, sets, ids, owed, u.numpy(), outcome, thrown, p_y, mass)
    n_passed, final = outcome[:, 0], outcome[:, 1:]
    tokens = np.concatenate([ids, final], axis=1)
    tokens[np.arange(n_rows), n_passed] = final[:, 0]
    q_y = at_tokens(q.own, drafts).numpy()
    q0_y = q_y[:, :0] if q0 is None else at_tokens(q0.own, drafts).numpy()
    return Tested(tokens, n_passed, thrown, p_y, mass, q_y, q0_y)


def _array(rows: Tensor, dtype: np.dtype[Any] | None = None) -> npt.NDArray[Any]:
    """Rows as kernels take them: one after the other in memory."""
    return np.ascontiguousarray(rows.numpy(), dtype)
