"""The requests that OpenAI's protocol knows, read and checked field by field: completions, and chats.

Fields and defaults are those of OpenAI's API reference (platform.openai.com/docs/api-reference, "Completions" and "Chat
completions"). What this server cannot honour is refused, and nothing is ignored but labels of the client's own.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxyalign.models.pair import ModelPair
from proxyalign.models.tokens import check_unicode
from proxyalign.serving.server.fields import Fields, shown
from proxyalign.serving.server.prompts import Message, Prompt, Prompts
from proxyalign.serving.server.refusal import Refusal, about
from proxyalign.validation import Domain

MOST_ANSWERS = 128  # of one prompt, as with OpenAI
MOST_TOPS = 20  # likeliest tokens told beside one
MOST_STOPS = 16  # stop strings; OpenAI has four
_COMPLETION_TOKENS = 16  # of a completion that does not say, as with OpenAI
_TEMPERATURE = Domain(0.0, 2.0, "0 is greedy")
_TOP_P = Domain(0.0, 1.0, "it is a probability mass")
_SEEDS = Domain(0, 2**63 - 1, "leave it out for a fresh one", whole=True)

# Fields that change nothing where they have one of these values.
_IDLE: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "service_tier": ("auto", "default"),
    "store": (False,),
}
_IDLE_IN_COMPLETIONS: Mapping[str, tuple[Any, ...]] = {**_IDLE, "suffix": ("",)}
_IDLE_IN_CHATS: Mapping[str, tuple[Any, ...]] = {
    **_IDLE,
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": (),
    "verbosity": (),
    "web_search_options": (),
}
_IDLE_IN_MESSAGES: Mapping[str, tuple[Any, ...]] = {
    "refusal": (),
    "audio": (),
    "function_call": (),
    "tool_calls": ([],),
    "annotations": ([],),
}


@dataclass(frozen=True)
class Request:
    """What a client asks for.

    prompts: each is answered `n` times. max_tokens: of each answer; 0 for none, where prompts are echoed. bias: nats by
    token id. stop: strings that end an answer. seed: of the draws. n_top: how many of the likeliest tokens are told
    beside each one, None where no log-probabilities are. has_usage: whether a stream ends with the counts.
    """

    is_chat: bool
    prompts: tuple[Prompt, ...]
    n: int
    max_tokens: int
    temperature: float
    top_p: float | None
    bias: Mapping[int, float]
    stop: tuple[str, ...]
    seed: int
    is_stream: bool
    has_usage: bool
    echo: bool
    n_top: int | None


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    model: the name under which the pair is served. max_length: tokens of a prompt and its answer. max_tokens: of an
    answer. n_sequences: answers to all of its prompts.
    """

    model: str
    max_length: int
    max_tokens: int
    n_sequences: int


class Protocol:
    """Reads the bodies of requests to a pair. Raises Refusal for whatever is wrong in one."""

    def __init__(self, pair: ModelPair, prompts: Prompts, limits: Limits) -> None:
        self._pair, self._prompts, self.limits = pair, prompts, limits

    def completion(self, body: Any) -> Request:
        """A request to /v1/completions."""
        fields = Fields("completions", body)
        self.check_model(fields.text("model"))
        prompts = tuple(self._prompts.of_text(one) for one in _given_prompts(fields))
        echo = fields.switch("echo")
        n_top = fields.count("logprobs", None, 0, MOST_TOPS, "ask for fewer")
        n = fields.count("n", 1, 1, MOST_ANSWERS, "ask for fewer answers") or 1
        best_of = fields.count("best_of", n, 1, MOST_ANSWERS, "leave it out")
        if best_of != n:
            raise fields.refuse("best_of", f"as many as n, {n}", best_of, "leave it out")
        limit = fields.count("max_tokens", None, 0, self.limits.max_tokens, "ask for fewer, or start it with more")
        if limit == 0 and not echo:
            raise fields.refuse("max_tokens", "at least 1", 0, "ask for a token, or for echo")
        if echo and n_top is not None and (self._prompts.proxy_chat or self._pair.has_two_vocabularies):
            raise fields.refuse(
                "echo", "false with logprobs where base and proxy read a prompt differently", True, "drop one of them"
            )
        for name, idle in _IDLE_IN_COMPLETIONS.items():
            fields.unused(name, idle)
        limit = min(_COMPLETION_TOKENS, self.limits.max_tokens) if limit is None else limit
        return self._request(fields, prompts, "prompt", is_chat=False, n=n, limit=limit, echo=echo, n_top=n_top)

    def chat(self, body: Any) -> Request:
        """A request to /v1/chat/completions."""
        fields = Fields("chat", body)
        self.check_model(fields.text("model"))
        prompt = self._prompts.of_chat(_given_messages(fields))
        n = fields.count("n", 1, 1, MOST_ANSWERS, "ask for fewer answers") or 1
        is_scored = fields.switch("logprobs")
        n_top = fields.count("top_logprobs", None, 0, MOST_TOPS, "ask for fewer")
        if n_top is not None and not is_scored:
            raise fields.refuse("top_logprobs", "left out without logprobs", n_top, "send logprobs: true")
        remedy = "ask for fewer, or start it with more"
        limits = [
            fields.count(name, None, 1, self.limits.max_tokens, remedy)
            for name in ("max_completion_tokens", "max_tokens")
        ]
        given = {limit for limit in limits if limit is not None}
        if len(given) > 1:
            raise fields.refuse("max_tokens", f"as max_completion_tokens, {limits[0]}", limits[1], "send one of them")
        room = max(1, self.limits.max_length - prompt.n_longest)
        limit = given.pop() if given else min(self.limits.max_tokens, room)
        for name, idle in _IDLE_IN_CHATS.items():
            fields.unused(name, idle)
        scored = (n_top or 0) if is_scored else None
        return self._request(fields, (prompt,), "messages", is_chat=True, n=n, limit=limit, echo=False, n_top=scored)

    def check_model(self, name: str) -> None:
        """Raise Refusal (404) for a model that is not served here."""
        if name != self.limits.model:
            raise Refusal(
                f"serve: model must be {self.limits.model!r}, got {shown(name)}; ask /v1/models what is served",
                status=404,
                param="model",
                code="model_not_found",
            )

    def _request(
        self,
        fields: Fields,
        prompts: tuple[Prompt, ...],
        name: str,
        *,
        is_chat: bool,
        n: int,
        limit: int,
        echo: bool,
        n_top: int | None,
    ) -> Request:
        """The request with what both kinds have in common. name: of the field that holds the prompts."""
        for prompt in prompts:
            if prompt.n_longest + limit > self.limits.max_length:
                raise Refusal(
                    f"{fields.owner}: {name} and max_tokens must fit {self.limits.max_length} tokens, got "
                    f"{prompt.n_longest} + {limit}; shorten the prompt or lower max_tokens",
                    param=name,
                    code="context_length_exceeded",
                )
        if len(prompts) * n > self.limits.n_sequences:
            raise fields.refuse(
                "n", f"such that there are at most {self.limits.n_sequences} answers", n, "ask for fewer"
            )
        top_p = fields.number("top_p", 1.0, _TOP_P)
        is_stream = fields.switch("stream")
        request = Request(
            is_chat=is_chat,
            prompts=prompts,
            n=n,
            max_tokens=limit,
            temperature=fields.number("temperature", 1.0, _TEMPERATURE),
            top_p=None if top_p == 1.0 else top_p,
            bias=fields.bias("logit_bias", self._pair.vocab_size),
            stop=fields.strings("stop", MOST_STOPS),
            seed=int(fields.number("seed", secrets.randbits(63), _SEEDS)),
            is_stream=is_stream,
            has_usage=_has_usage(fields, is_stream),
            echo=echo,
            n_top=n_top,
        )
        fields.labels("user", "metadata", "safety_identifier", "prompt_cache_key")
        fields.end()
        return request


def _given_prompts(fields: Fields) -> list[str | list[int]]:
    """One prompt or several, each a text or a list of token ids."""
    value = fields.take("prompt")
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(one, str) for one in value) or all(isinstance(one, list) and one for one in value):
            return value
        if not any(isinstance(one, str | list) for one in value):
            return [value]
    raise fields.refuse("prompt", "a text, a list of texts, token ids or a list of those", value, "send one")


def _given_messages(fields: Fields) -> list[Message]:
    """The messages of a chat, each with a role and a text."""
    value = fields.take("messages")
    if not isinstance(value, list) or not value:
        raise fields.refuse("messages", "a list of one or more messages", value, "say something")
    messages: list[Message] = []
    for i, given in enumerate(value):
        name = f"messages[{i}]"
        if not isinstance(given, dict):
            raise fields.refuse(name, "an object with role and content", given, "send one")
        of_one = Fields(f"chat: {name}", given)
        message = {"role": of_one.text("role"), "content": _content(of_one)}
        for part, idle in _IDLE_IN_MESSAGES.items():
            of_one.unused(part, idle)
        of_one.end()
        with about("messages"):
            check_unicode("chat", message)
        messages.append(message)
    return messages


def _content(fields: Fields) -> str:
    """What was said: a text, or parts that are texts."""
    value = fields.take("content")
    if isinstance(value, list) and value:
        texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in value]
        if all(isinstance(text, str) for text in texts):
            return "".join(map(str, texts))
    if not isinstance(value, str):
        raise fields.refuse("content", "a text, or a list of parts of type text", value, "send one")
    return value


def _has_usage(fields: Fields, is_stream: bool) -> bool:
    value = fields.take("stream_options")
    if value is None:
        return False
    if not is_stream or not isinstance(value, dict):
        raise fields.refuse("stream_options", "an object, with stream alone", value, "leave it out")
    options = Fields(f"{fields.owner}: stream_options", value)
    has_usage = options.switch("include_usage")
    options.unused("include_obfuscation", (False,))
    options.end()
    return has_usage
