"""Causal models whose next-token laws are tables over prefixes, with a cache of transformers: for the engine to run."""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proxyalign.models.pair import ModelPair
from proxyalign.verify.cases import Floats
from proxyalign.verify.cases.clashing import Tokens

Prefix = tuple[int, ...]


class TableModel(torch.nn.Module):
    """Logits of a law (V,) float64 for each prefix of new tokens, after a prompt of one token.

    law: which one. Its cache holds the tokens themselves, so that one that is read though it was taken back is another
    prefix.
    """

    law: Callable[[Prefix], Floats]

    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.config = _Config(n_tokens)
        self.generation_config = SimpleNamespace(eos_token_id=None)
        self.device = torch.device("cpu")
        self.dtype = torch.float64
        self.lm_head = torch.nn.Linear(1, n_tokens, bias=False)

    def get_output_embeddings(self) -> torch.nn.Linear:
        """The head, which tells how many tokens there are."""
        return self.lm_head

    def forward(
        self,
        input_ids: Tensor,
        past_key_values: Any,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        use_cache: bool = True,
    ) -> Any:
        """Logits (B, n, V) after each of the tokens (B, n)."""
        states = input_ids.double()[:, None, :, None]
        seen = past_key_values.update(states, states.clone(), 0)[0][:, 0, :, 0].long()
        there = torch.ones_like(seen) if attention_mask is None else attention_mask
        texts = zip(seen.tolist(), there.tolist(), strict=True)
        rows = [self._after(list(zip(*text, strict=True)), input_ids.shape[1]) for text in texts]
        with np.errstate(divide="ignore"):
            return SimpleNamespace(logits=torch.from_numpy(np.log(np.array(rows))))

    def _after(self, text: list[tuple[int, float]], n: int) -> list[Floats]:
        """The laws after each of the last n places of a text, whose tokens come with whether they are there."""
        ends = range(len(text) - n + 1, len(text) + 1)
        return [self.law(tuple(token for token, is_there in text[:end] if is_there)[1:]) for end in ends]


class _Config(SimpleNamespace):
    """What the engine asks of a model's settings."""

    def __init__(self, n_tokens: int) -> None:
        super().__init__(model_type="table", vocab_size=n_tokens, max_position_embeddings=None)

    def get_text_config(self, decoder: bool = True) -> "_Config":
        return self


class _Numbers:
    """A tokenizer of nothing but ids."""

    eos_token_id = None
    bos_token = None

    def __init__(self, n_tokens: int) -> None:
        self._n_tokens = n_tokens

    def get_vocab(self) -> dict[str, int]:
        return {str(i): i for i in range(self._n_tokens)}

    def decode(self, ids: list[int], **settings: Any) -> str:
        return " ".join(map(str, ids))


def table_pair(
    base: Callable[[Prefix], Floats], proxy: Callable[[Prefix], Floats], n_tokens: int, reference: Any = None
) -> ModelPair:
    """A pair of such models, which has these laws until the next pair of as many tokens and models is asked for."""
    pair = _pair(n_tokens, reference is not None)
    pair.base.law, pair.proxy.law = base, proxy
    if reference is not None:
        pair.reference.law = reference
    return pair


@functools.cache
def _pair(n_tokens: int, has_reference: bool) -> ModelPair:
    base, proxy, reference = (TableModel(n_tokens) for _ in range(3))
    return ModelPair(base, proxy, _Numbers(n_tokens), reference=reference if has_reference else None)


def clashing_pair(tokens: tuple[Tokens, Tokens], laws: tuple[Callable[[Prefix], Floats], ...]) -> ModelPair:
    """A pair of such models over the tokenizers of base and proxy. Each names one end of text, its model any other."""
    models = []
    for one, law in zip(tokens, laws, strict=True):
        model = TableModel(one.width)
        model.law, model.generation_config.eos_token_id = law, list(one.end_ids[1:]) or None
        models.append(model)
    base, proxy = models
    of_base, of_proxy = (one.tokenizer() for one in tokens)
    return ModelPair(base, proxy, of_base, proxy_tokenizer=of_proxy)
