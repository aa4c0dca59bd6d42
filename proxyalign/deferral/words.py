"""Nudging as its authors decode: once it starts, the proxy writes whole words, until the base is sure or agrees."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import About, Proposal, Rule, given
from proxyalign.errors import InputError
from proxyalign.validation import Domain

# How names of tokens begin that begin with a blank or a new line: in an alphabet of bytes, by a sign, as byte tokens.
_WHITE = ("Ġ", "Ċ", "▁", "<0x20>", "<0x0A>", " ", "\n")
SURE, IN_WORD, FIRST = range(3)  # the state: who wrote the last token, and whether there is none yet


@dataclass(frozen=True)
class NudgingWords(Rule):
    """Defer whole words to the proxy where the base's likeliest token is less likely than `alpha`.

    The first token is the proxy's, and so is each token of a word that the proxy began: it ends where the proxy's own
    likeliest token begins with white space. Then the base takes over if it is sure, or if both models' likeliest tokens
    agree, and goes on for as long as it is sure. A token that ends the text is always redrawn from the proxy, so that
    only the proxy ends it.

    The published code decodes greedily and keeps a tokenizer and a prompt for each model, edits out repetitions, and
    has the proxy write ahead, 16 tokens at a time: where it comes to its end within these, all of them are taken, and
    the base is not asked again. Here the two share a vocabulary, any temperature will do, nothing is edited, and the
    base is asked after each word. Words begin with a blank or a new line, in the published code with a blank alone.
    alpha: probability in [0, 1].
    """

    alpha: float
    name: ClassVar[str] = "nudging-words"
    needs: ClassVar[str] = "p q"
    compares_tokens = (
        False  # but for the two likeliest ones: over two vocabularies they agree where they spell the same
    )
    domains: ClassVar[dict[str, Domain]] = {
        "alpha": Domain(0.0, 1.0, "it is the least top probability that the base is trusted with")
    }
    about: ClassVar[About] = About(
        "1 from max p < alpha on, until a word is whole and max p >= alpha or argmax p = argmax q",
        "none",
        "none",
        "Fei et al., ACL 2025",
    )

    def bound(self, tokenizer: Any, ends: Sequence[int]) -> "NudgingWords":
        """The rule for a vocabulary: which tokens begin with white space, and which end the text."""
        n_ids = max(tokenizer.get_vocab().values()) + 1  # some ids may have no token
        pieces = tokenizer.convert_ids_to_tokens(range(n_ids))
        begins = torch.tensor([str(piece).startswith(_WHITE) for piece in pieces])
        is_end = torch.zeros_like(begins)
        is_end[list(ends)] = True
        return _Bound(self.alpha, torch.stack([begins, is_end]))

    def start(self, n: int, device: torch.device) -> Tensor:
        """The state (n,) before the first token."""
        return torch.full((n,), FIRST, device=device)

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """Decided only in a sequence: raises InputError."""
        raise InputError("NudgingWords decides from the words before a token: decode with it, or take Nudging(alpha)")


@dataclass(frozen=True)
class _Bound(NudgingWords):
    kinds: Tensor = field(default_factory=lambda: torch.empty(2, 0), repr=False)  # begins with white space; ends a text
    _placed: dict[torch.device, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def parameters(self) -> dict[str, float]:
        return {"alpha": self.alpha}

    def propose(self, p: Law, q: Law | None = None, q0: Law | None = None, state: Tensor | None = None) -> Proposal:
        states = [self.start(len(p.own), p.own.device) if state is None else state]
        device = p.own.device
        if device not in self._placed:
            self._placed[device] = self.kinds.to(device)
        begins, is_end = self._placed[device]
        deferred = []
        for of_base, of_proxy in zip(p.own.unbind(1), given(q).own.unbind(1), strict=True):
            likeliest, next_of_proxy = of_base.argmax(-1), of_proxy.argmax(-1)
            in_word = (states[-1] == FIRST) | ((states[-1] == IN_WORD) & ~begins[next_of_proxy])
            agrees = (states[-1] == IN_WORD) & (likeliest == next_of_proxy)
            hands_over = in_word | ~((of_base.amax(-1) >= self.alpha) | agrees)
            deferred.append(hands_over.unsqueeze(-1) | is_end[: of_base.shape[-1]])
            states.append(torch.where(hands_over, IN_WORD, SURE))
        return Proposal(p.drawn, torch.stack(deferred, 1), torch.stack(states, 1))
