"""How far apart two laws are, in nats: what rules and verifiers measure and neither of them is."""

import torch
from torch import Tensor

DIVERGENCE = "it is a divergence in nats"


def kullback_leibler(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) in nats: (..., V) -> float64 (..., 1); infinity where p has a token that q has not."""
    p, q = p.double(), q.double()
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1, keepdim=True)


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """JS(p, q) in nats, the mean of both laws' KL from their mean: (..., V) -> float64 (..., 1), at most log 2."""
    between = (p.double() + q.double()) / 2.0
    return (kullback_leibler(p, between) + kullback_leibler(q, between)) / 2.0
