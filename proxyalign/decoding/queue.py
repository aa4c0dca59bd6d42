"""Who is decoded when: sequences that wait take the places of those that have ended."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from proxyalign.decoding.job import Job
from proxyalign.decoding.readers.contract import IntArray, Texts
from proxyalign.decoding.sampling import Uniforms
from proxyalign.decoding.trace import Record

WORTH_A_PASS = 8  # a batch is filled up when an eighth of it has ended: prompts read together cost less
_NOBODY: IntArray = np.arange(0)


class Waiting:
    """The sequences whose turn has not come, in order."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._next = 0

    def admit(self, record: Record, uniforms: Uniforms, models: Sequence[Texts]) -> IntArray:
        """Let sequences join the batch (n,): as many as there is room for, once that is worth a pass over prompts."""
        job, n_active, n_left = self._job, len(record.active), len(self._job.keys) - self._next
        free = min(job.batch_size - n_active, n_left)
        if not free or (n_active and free < min(n_left, job.batch_size // WORTH_A_PASS)):
            return _NOBODY
        rows = np.arange(self._next, self._next + free)
        self._next += free
        for model in models:
            model.join(job.texts(model.name, rows))
        uniforms.join([job.keys[row] for row in rows.tolist()])
        record.join(rows)
        return rows


def joined(state: Tensor | None, fresh: Tensor | None) -> Tensor | None:
    """The states of a batch (B,) and of those who join it (n,), one after the other; None for a rule without one."""
    return fresh if state is None or fresh is None else torch.cat([state, fresh])
