"""How much of a text the models of two vocabularies have room for: a piece may be several of a model's own tokens."""

from collections.abc import Mapping, Sequence

import numpy as np

from proxyalign.decoding.readers.contract import BoolArray, IntArray
from proxyalign.models.pair import ModelPair


class Room:
    """The tokens that are left to each sequence in the context of each model, counted from when it begins."""

    def __init__(self, pair: ModelPair, prompts: Mapping[str, Sequence[Sequence[int]]]) -> None:
        """prompts: of the models that read (their roles), one list of their own ids a sequence."""
        contexts = {role: pair.context_of(role) for role in prompts}
        self._contexts = {role: context for role, context in contexts.items() if context is not None}
        self._ids = {role: pair.vocabulary.sides[role].ids for role in prompts}
        self._prompts = prompts
        self._left = {role: np.zeros(len(prompts[role]), dtype=np.int64) for role in self._contexts}

    def join(self, sequences: IntArray) -> None:
        """Let these sequences (n,) begin."""
        for role, context in self._contexts.items():
            self._left[role][sequences] = [context - len(self._prompts[role][i]) for i in sequences.tolist()]

    def fill(self, sequences: IntArray, pieces: IntArray, counts: IntArray) -> tuple[IntArray, BoolArray]:
        """How many of the first `counts` (B,) of new pieces (B, k) have a law, and which sequences (B,) end with them.

        A piece has one where all before it is within the context; it need not be there itself. The pieces are taken to
        be written.
        """
        fitting, is_full = counts.copy(), np.zeros(len(counts), dtype=np.bool_)
        for role, left in self._left.items():
            ids = self._ids[role]
            for i, sequence in enumerate(sequences.tolist()):
                for n in range(int(counts[i])):
                    if left[sequence] < 0:
                        fitting[i] = min(fitting[i], n)
                        break
                    left[sequence] -= len(ids[int(pieces[i, n])])
                is_full[i] |= left[sequence] < 0
        return fitting, is_full
