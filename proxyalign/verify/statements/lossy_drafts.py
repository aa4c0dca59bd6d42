"""Statement 10 where a draft is tested against another law than pi: lossy verifiers, added up over all drafts."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from proxyalign.deferral.verifiers import Cactus, Mentored
from proxyalign.verify.cases import Floats
from proxyalign.verify.statements.claim import Claim

ROUNDING = 1e-10  # of sums of float64 probabilities, and of a divergence whose terms cancel


def emitted(pi: Tensor, q: Tensor, delta: float) -> Iterator[Claim]:
    """That the law of a draft, or of what replaces it, is the one that the verifier tells; pi, q: (rows, V)."""
    n_rows, n_tokens = pi.shape
    drafts = torch.arange(n_tokens).expand(n_rows, n_tokens)
    every_pi, every_q = (law.unsqueeze(1).expand(n_rows, n_tokens, n_tokens) for law in (pi, q))
    for verifier in (Cactus(delta), Mentored(delta)):
        targets, of_proxy = verifier.target(every_pi, every_q, drafts).numpy(), q.numpy()  # targets (rows, draft, V)
        passing = np.minimum(of_proxy, np.diagonal(targets, axis1=1, axis2=2))
        excess = np.maximum(0.0, targets - of_proxy[:, None])
        total = excess.sum(-1, keepdims=True)
        replaced = np.divide(excess, total, out=np.zeros_like(excess), where=total > 0.0)
        law = passing + ((of_proxy - passing)[..., None] * replaced).sum(1)
        yield _equal(
            f"{verifier.name}: what a draft is tested against is a law", targets.sum(-1), np.ones(drafts.shape)
        )
        yield _equal(f"{verifier.name}: an emitted token has the law that is told", law, verifier.law(pi, q).numpy())
    most = float(Mentored(delta).distance(pi, q).kl.max())
    yield Claim("mentored: KL(law || pi) <= delta", most, delta, tolerance=ROUNDING)


def _equal(name: str, left: Floats, right: Floats) -> Claim:
    """left = right in every entry, as the claim of the entry where they differ most."""
    entry = int(np.argmax(np.abs(left - right)))
    return Claim(name, float(left.flat[entry]), float(right.flat[entry]), "==", ROUNDING)
