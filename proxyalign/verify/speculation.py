"""The speculative window's test and bonus as laws (statements 10 to 12), where the engine has them as draws."""

from torch import Tensor

from proxyalign.deferral import policy


def accept(pi: Tensor, q: Tensor) -> Tensor:
    """The chance (..., V) that a draft drawn from `q` is accepted: min(1, pi / q) (statement 10)."""
    return (pi / q).clamp(max=1.0).where(q > 0.0, 1.0)


def bonus(p: Tensor, deferred: Tensor) -> tuple[Tensor, Tensor]:
    """After a window accepted whole: what is emitted from `p` (..., V), and the chance that a draft is owed (...)."""
    return p * ~deferred, policy.deferral_mass(p, deferred)


def owed_accept(chance: Tensor) -> Tensor:
    """The chance that an owed draft is emitted, whatever the test would say: 1 (statement 11)."""
    return chance.new_ones(chance.shape)
