"""Statement 16: what the pieces of two vocabularies are, how each model reads them, and its law over them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from proxyalign.deferral import policy, rules
from proxyalign.verify.cases import Clash
from proxyalign.verify.cases.clashing import is_permuted, tokens_of
from proxyalign.verify.cases.table_models import clashing_pair
from proxyalign.verify.reference.piece_laws import PieceLaws, all_pieces
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.piece_runs import PieceRuns, table
from proxyalign.verify.statements.token_laws import at_most, equal


def two_vocabularies(case: Clash) -> Iterator[Claim]:
    """Statement 16: p and q over pieces are functions of the pieces before, and all else holds of them as it stands."""
    tokens = tokens_of(case.tokenizers)
    tables = table(case.p), table(case.q)
    pair = clashing_pair(tokens, tables)
    pieces = pair.vocabulary.pieces
    wrong = all_pieces(*tokens).symmetric_difference(pieces)
    yield Claim("pieces are what either model writes, and one end", len(pieces) + len(wrong), len(set(pieces)), "==")
    base, proxy = (PieceLaws(one, pieces) for one in tokens)
    laws = []
    for role, by_hand, of_ids in (("base", base, case.p), ("proxy", proxy, case.q)):
        side = pair.vocabulary.sides[role]
        with np.errstate(divide="ignore"):
            laws.append(side.logits(torch.from_numpy(np.log(of_ids))).softmax(-1))
        sums = np.stack([by_hand.sums(row) for row in of_ids])
        yield equal(f"the {role}'s law of a piece is the sum over its ids", laws[-1].numpy(), sums)
        otherwise = sum(piece is not None and side.ids[i] != by_hand.ids(i) for i, piece in enumerate(pieces))
        yield Claim(f"the {role} reads each piece in its own tokens", otherwise, 0, "==")
    yield from _floor(case, *laws)
    if case.run:
        runs = PieceRuns(case, pair, (base, proxy), tables)
        yield from runs.beside_the_definition()
        if is_permuted(case.tokenizers):
            yield from runs.beside_ids()


def _floor(case: Clash, p: Tensor, q: Tensor) -> Iterator[Claim]:
    """Statement 9 over pieces, of which the models share some or none."""
    deferred = rules.Dual(case.alpha).defer(p)
    accepted = policy.acceptance(policy.cascade(p, q, deferred), q).numpy()
    mass, of_base, of_proxy = policy.deferral_mass(p, deferred).numpy(), p.numpy(), q.numpy()
    is_common = (of_base > 0.0) & (of_proxy > 0.0)
    kept = np.minimum(np.where(deferred.numpy(), 0.0, of_base), (1.0 - mass)[:, None] * of_proxy)
    yield equal("A = D + what common pieces add", accepted, mass + np.where(is_common, kept, 0.0).sum(-1))
    yield at_most("D <= A over pieces", mass, accepted)
