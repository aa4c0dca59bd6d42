"""What both models say at one place of a text that is there, and what a rule makes of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from proxyalign.decoding.memory import enough_memory
from proxyalign.decoding.readers.contract import Both
from proxyalign.decoding.readers.making import reader_of
from proxyalign.decoding.shaping import Shaping
from proxyalign.deferral import policy
from proxyalign.deferral.rule import Rule
from proxyalign.models.pair import ModelPair


@dataclass(frozen=True)
class LawsAt:
    """The laws (V,) float64 of one place, and the tokens that the rule defers there, (V,) bool.

    p: the base's, q: the proxy's, both at temperature 1. pi: of the token that is written, at the temperature of the
    text. deferred: None for a rule that makes one law and hands no token over (mixtures, truncations).
    """

    p: npt.NDArray[np.float64]
    q: npt.NDArray[np.float64]
    pi: npt.NDArray[np.float64]
    deferred: npt.NDArray[np.bool_] | None


def laws_at(
    pair: ModelPair,
    rule: Rule,
    prompts: Mapping[str, Sequence[int]],
    written: Sequence[int],
    temperature: float,
) -> LawsAt:
    """The laws after `written`, the new tokens (pieces, of two vocabularies) that come before the place.

    prompts: of each model, by its role ("base", "proxy", and "reference" where the rule reads that), its own ids. Both
    models read the text anew in one pass, whatever the rule asks, so that a law may differ in its last float32 digits
    from the one that was decoded with. A rule that follows the text is taken along from its beginning, for which the
    laws of all places before are held: (n, V) floats a model.
    """
    shaping = Shaping(temperature, 1.0, bias=None, ends=(), min_new_tokens=0, truncations={})
    with torch.inference_mode(), pair.evaluating(), enough_memory("explore", 1, "lower max_new_tokens"):
        bound = rule.bound(pair.spelling, pair.eos_token_ids)
        state = bound.start(1, pair.device)
        n = 1 if state is None else len(written) + 1
        tokens = torch.tensor([list(written)], dtype=torch.int64, device=pair.device)
        none_before = Both.zeros(1, torch.int64, pair.device)
        laws = {}
        for role, prompt in prompts.items():
            reader = reader_of(pair, role)
            reader.join([prompt])
            if written:
                reader.push(tokens)
            laws[role] = shaping.law(role, reader.read(n), none_before)
        p, q = laws["base"], laws["proxy"]
        first, deferred, _ = bound.propose_along(tokens, p, q, laws.get("reference"), state)
        if deferred is None and bound.constant is False:
            deferred = torch.zeros_like(p.own, dtype=torch.bool)
        pi = first if deferred is None else policy.cascade(first, q.drawn, deferred)
        p_own, q_own, pi_drawn = (law[0, -1].double().cpu().numpy() for law in (p.own, q.own, pi))
        return LawsAt(p_own, q_own, pi_drawn, None if deferred is None else deferred[0, -1].cpu().numpy())
