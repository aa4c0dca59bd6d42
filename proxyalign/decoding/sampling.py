"""What is drawn with: one stream of uniform numbers per sequence; and probabilities that are no numbers, refused."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxyalign.decoding.readers.contract import Both, IntArray
from proxyalign.errors import InputError

LARGEST = 1.0 - 2.0**-52  # keeps u * total below total after rounding, so that a draw never runs off the end


def at_tokens(rows: Tensor, tokens: Tensor) -> Tensor:
    """What laws or sets (B, n, V) say of tokens (B, n): (B, n)."""
    return rows.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


def check_finite(found: npt.NDArray[np.floating], model: str, n_before: IntArray) -> None:
    """Raise InputError where a probability (B, n) is NaN, as in a row whose logits are not finite.

    n_before: how many new tokens each row had before these (B,).
    """
    if np.isnan(found).any():
        row = np.argwhere(np.isnan(found))[0, 0]  # which of a window's tokens it was, attention has blurred
        raise InputError(
            f"generate: the {model} must give finite logits, got NaN or infinity in the step from new token "
            f"{n_before[row] + 1} on; check its weights, or load it in a wider dtype"
        )


class Uniforms:
    """Uniform numbers in [0, 1) for a batch of sequences, each from a generator of its own.

    A sequence's numbers depend on its key alone, (seed, prompt index, sample index), and all sequences of a batch use
    equally many of them at each step, so that neither neighbours nor batch size can change a sample. The generators
    are NumPy's: torch's on the CPU keeps 32 bits of a seed, few enough for two of 10^5 sequences to share a stream.
    """

    def __init__(self, keys: Sequence[tuple[int, int, int]], per_step: int, device: torch.device) -> None:
        self._generators = [generator_of(*key) for key in keys]
        self._per_step = per_step
        self._device = device
        self._block = torch.empty(len(keys), 0, dtype=torch.float64, device=device)
        self._used = 0

    def take(self) -> Tensor:
        """The next `per_step` numbers of every sequence: float64 (B, per_step)."""
        if self._used == self._block.shape[1]:
            # Drawn ahead, since a call to a generator costs more than its numbers.
            self._block, self._used = self._draw(16 * self._per_step), 0
        start = self._used
        self._used += self._per_step
        return self._block[:, start : self._used]

    def join(self, keys: Sequence[tuple[int, int, int]]) -> None:
        """Take in new sequences, which start with the first of their numbers wherever the others are."""
        fresh = Uniforms(keys, self._per_step, self._device)
        left = self._block.shape[1] - self._used
        block = torch.zeros(len(keys), self._block.shape[1], dtype=torch.float64, device=self._device)
        block[:, self._used :] = fresh._draw(left)
        self._block = torch.cat([self._block, block])
        self._generators += fresh._generators

    def _draw(self, n: int) -> Tensor:
        """The next n numbers of every sequence (B, n), without a look at those that wait."""
        fresh = np.stack([generator.random(n) for generator in self._generators])
        return torch.from_numpy(np.minimum(fresh, LARGEST)).to(self._device)

    def keep(self, rows: Both) -> None:
        """Go on with these rows (n,) of the batch alone."""
        self._generators = [self._generators[row] for row in rows.host]
        self._block = self._block.index_select(0, rows.device)


def generator_of(seed: int, *place: int) -> np.random.Generator:
    """The stream of a place, such as a prompt's and a sample's index, under a seed."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=place)))
