"""Causal models whose next-token laws are tables over prefixes, with a cache of transformers: for the engine to run."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proxyalign.models.pair import ModelPair
from proxyalign.verify.cases import Floats

Prefix = tuple[int, ...]


class TableModel(torch.nn.Module):
    """Logits of a law (V,) float64 for each prefix of new tokens, after a prompt of one token.

    Its cache holds the tokens themselves, so that one that is read though it was taken back is another prefix.
    """

    def __init__(self, law: Callable[[Prefix], Floats], n_tokens: int) -> None:
        super().__init__()
        self._law = law
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
        seen = past_key_values.update(states, states.clone(), 0)[0][:, 0, :, 0].long().numpy()
        there = np.ones(seen.shape, dtype=bool) if attention_mask is None else attention_mask.bool().numpy()
        n = input_ids.shape[1]
        rows = [
            [self._law(tuple(ids[: at + 1][held[: at + 1]].tolist()[1:])) for at in range(len(ids) - n, len(ids))]
            for ids, held in zip(seen, there, strict=True)
        ]
        with np.errstate(divide="ignore"):
            return SimpleNamespace(logits=torch.from_numpy(np.log(np.array(rows))))


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
    """A pair of such models."""
    of_reference = None if reference is None else TableModel(reference, n_tokens)
    return ModelPair(
        TableModel(base, n_tokens), TableModel(proxy, n_tokens), _Numbers(n_tokens), reference=of_reference
    )
