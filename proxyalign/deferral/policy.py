"""What a deferral set makes of two next-token laws: the cascade, its acceptance probability and its residual.

Throughout, `p` is the base's law, `q` the proxy's and `pi` the cascade's: floats (..., V) whose rows sum to 1.
`deferred` is bool (..., V): True where the base's token is thrown away and redrawn from the proxy. At a temperature
other than 1 they are the tempered laws, which are drawn from, while `deferred` comes from the models' own. Nothing here
checks its arguments, since the decoder calls it at every step.
"""

import torch
from torch import Tensor

# Numbers of a law that a processor works on together, so that its caches hold what is computed on the way.
AT_ONCE = 1 << 19


def deferral_mass(p: Tensor, deferred: Tensor) -> Tensor:
    """D (...): the probability that a token drawn from `p` is thrown away, sum_y d_y p_y."""
    if p.dim() > 1 and p.numel() > AT_ONCE and p.device.type == "cpu":
        return torch.stack([deferral_mass(*one) for one in zip(p, deferred, strict=True)])
    return only(p, deferred).sum(-1)


def cascade(p: Tensor, q: Tensor, deferred: Tensor, mass: Tensor | None = None) -> Tensor:
    """pi (..., V): the law of drawing y from `p`, and anew from `q` where y is deferred: (1 - d_y) p_y + D q_y.

    mass: D (...), where it is known.
    """
    spent = deferral_mass(p, deferred) if mass is None else mass
    return only(p, ~deferred).addcmul(spent.unsqueeze(-1), q)


def acceptance(pi: Tensor, q: Tensor) -> Tensor:
    """A (...): the probability that a draft from `q` passes the test against `pi`, sum min(pi, q) (statement 9)."""
    return pi.minimum(q).sum(-1)


def residual(pi: Tensor, q: Tensor) -> Tensor:
    """The law (..., V) that replaces a rejected draft: max(0, pi - q), normalised (statement 10).

    Where `pi` nowhere exceeds `q`, as when the two are equal, no draft is ever rejected but by rounding, and the
    residual is `pi` itself.
    """
    excess = (pi - q).clamp_min_(0)
    total = excess.sum(-1, keepdim=True)
    is_none = (total <= 0).to(pi.dtype)
    return excess.addcmul_(is_none, pi).div_(total + is_none)  # to select by booleans takes four times as long


def restrict(p: Tensor, kept: Tensor) -> Tensor:
    """`p` on the tokens where `kept` is True, normalised (..., V); every row must keep some mass."""
    left = only(p, kept)
    return left / left.sum(-1, keepdim=True)


def only(p: Tensor, kept: Tensor) -> Tensor:
    """`p` where `kept` is True and 0 elsewhere (..., V)."""
    return p * kept.view(torch.uint8)  # on a processor ten times as fast as to select by, or multiply with, booleans
