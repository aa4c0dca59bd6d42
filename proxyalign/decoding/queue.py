"""Who is decoded when: sequences that wait take the places of those that have ended."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from proxyalign.decoding.job import Job, Source
from proxyalign.decoding.readers.contract import IntArray, Texts
from proxyalign.decoding.sampling import Uniforms
from proxyalign.decoding.trace import Record

WORTH_A_PASS = 8  # a batch is filled up when an eighth of it has ended: prompts read together cost less
_NOBODY: IntArray = np.arange(0)


class InOrder:
    """A job's own sequences, all of them known, one after the other."""

    def __init__(self, n: int) -> None:
        self._next, self._n = 0, n

    def due(self) -> int:
        """Those that are left."""
        return self._n - self._next

    def take(self, n: int) -> IntArray:
        """The next ones."""
        self._next += n
        return np.arange(self._next - n, self._next)


class Waiting:
    """The sequences whose turn has not come: the job's own in order, or those that its source has by then."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._source: Source = job.source or InOrder(len(job.keys))

    def admit(self, record: Record, uniforms: Uniforms, models: Sequence[Texts]) -> IntArray:
        """Let sequences join the batch (n,): as many as there is room for, once that is worth a pass over prompts."""
        job, n_active, n_left = self._job, len(record.active), self._source.due()
        free = min(job.batch_size - n_active, n_left)
        if not free or (n_active and free < min(n_left, job.batch_size // WORTH_A_PASS)):
            return _NOBODY
        rows = self._source.take(free)
        for model in models:
            model.join(job.texts(model.name, rows))
        uniforms.join([job.keys[row] for row in rows.tolist()])
        record.join(rows)
        return rows


def joined(state: Tensor | None, fresh: Tensor | None) -> Tensor | None:
    """The states of a batch (B,) and of those who join it (n,), one after the other; None for a rule without one."""
    return fresh if state is None or fresh is None else torch.cat([state, fresh])
