"""What each kind of server is asked for, so that it draws from the untouched law and shows log-probabilities of it.

Every setting that could change the law is named and switched off, since servers have defaults of their own: a model's
recommended settings in vLLM, top-k 40 and min-p 0.05 in llama.cpp. The fields are those that the servers document:
vLLM's CompletionRequest (vllm/entrypoints/openai/completion/protocol.py), llama.cpp's tools/server/README.md, SGLang's
SamplingParams.
"""

from collections.abc import Mapping
from typing import Any

_EVERYWHERE: Mapping[str, Any] = {"top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "n": 1}

# By the owner of the models that a server lists.
_BY_OWNER: Mapping[str, Mapping[str, Any]] = {
    "vllm": {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    "sglang": {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    "llamacpp": {
        "top_k": 0,
        "min_p": 0.0,
        "typical_p": 1.0,
        "top_n_sigma": -1.0,
        "xtc_probability": 0.0,
        "dry_multiplier": 0.0,
        "mirostat": 0,
        "dynatemp_range": 0.0,
        "repeat_penalty": 1.0,
        "samplers": ["temperature"],
        "post_sampling_probs": False,
        "cache_prompt": True,
    },
}
_KEEP_HALVES_BACK = ("llamacpp",)
# They abort a stream whose reader has gone: vLLM's with_cancellation, llama.cpp's should_stop, SGLang's
# abort_request.
_STOP_WHEN_LEFT = ("vllm", "llamacpp", "sglang")
# Where the tokens of a character come together, so many more are asked for than are read, lest an answer end amidst
# these: a character has at most four bytes.
_SPARE = 3


class Dialect:
    """What a server of this kind is asked: `owner` is who owns its models, as it says, "" where it does not.

    takes_ids: whether prompts are token ids, and answers are to name their tokens by ids.
    """

    def __init__(self, owner: str, model: str, *, takes_ids: bool) -> None:
        self.owner, self._model, self._takes_ids = owner, model, takes_ids

    @property
    def keeps_halves_back(self) -> bool:
        """Whether the server shows no token that ends in the middle of a character."""
        return self.owner in _KEEP_HALVES_BACK

    @property
    def stops_when_left(self) -> bool:
        """Whether the server writes no further once nobody reads, but for the step that it is in."""
        return self.owner in _STOP_WHEN_LEFT

    def request(
        self, prompt: str | list[int], *, n_tokens: int, temperature: float, n_top: int, seed: int, slot: int | None
    ) -> dict[str, Any]:
        """The body of a request for `n_tokens` tokens after the prompt, with `n_top` likeliest at each.

        slot: which of its caches a llama.cpp server is to use, so that texts at once do not take each other's.
        """
        body = {
            "model": self._model,
            "prompt": prompt,
            "max_tokens": n_tokens + (_SPARE if self.keeps_halves_back or not self._takes_ids else 0),
            "temperature": temperature,
            "logprobs": n_top,
            "seed": seed,
            **_EVERYWHERE,
            **_BY_OWNER.get(self.owner, {}),
        }
        if self._takes_ids and self.owner == "vllm":
            body["return_tokens_as_token_ids"] = True
        if self.owner == "llamacpp" and slot is not None:
            body["id_slot"] = slot
        return body
