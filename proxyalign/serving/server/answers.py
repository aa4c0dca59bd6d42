"""The answers to one request, from the engine to the client: all at once, or piece by piece as they come."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from proxyalign.serving.server.asked import Asked, Told
from proxyalign.serving.server.engine import Engine, Reading
from proxyalign.serving.server.logprobs import Scored, for_chat, for_completion, scored
from proxyalign.serving.server.protocol import Request
from proxyalign.serving.server.refusal import refusal_of
from proxyalign.serving.server.text import Growing, Tokens, shown

_WORTH_READING = 4  # a stream's tokens are scored once they are this share of those before: a text is read anew for it


@dataclass
class _Answer:
    """One answer as it comes. n_told: tokens that the client knows. n_characters: that it knows, of an echo too."""

    index: int
    growing: Growing
    ids: list[int] = field(default_factory=list)
    reason: str | None = None
    n_told: int = 0
    n_characters: int = 0


_News = AsyncIterator[tuple[_Answer, Told]]


class Answers:
    """What the engine makes of a request. Whoever stops listening frees the rows that were decoded for it."""

    def __init__(self, engine: Engine, request: Request, model: str) -> None:
        self._engine, self._request, self._model = engine, request, model
        self._tokens = Tokens(engine.pair)
        kind = "chatcmpl" if request.is_chat else "cmpl"
        self._head = {"id": f"{kind}-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
        self._shape = engine.shape(request.temperature, request.top_p, dict(request.bias), request.max_tokens)
        n_answers = len(request.prompts) * request.n
        self._answers = [_Answer(i, Growing(engine.pair, request.stop)) for i in range(n_answers)]

    async def whole(self) -> dict[str, Any]:
        """The answers in one object. Raises Refusal where one of them cannot be given."""
        with self._decoding() as news:
            async for answer, new in news:
                answer.ids += new.ids
                answer.reason = new.reason
        request, choices = self._request, []
        entries = await self._scored_whole() if request.n_top is not None else [None] * len(self._answers)
        for answer, of_one in zip(self._answers, entries, strict=True):
            text = shown(self._engine.pair, answer.ids, request.stop)
            if request.echo:
                text = request.prompts[answer.index // request.n].text + text
            choices.append(self._choice(answer, text, of_one, 0))
        kind = "chat.completion" if request.is_chat else "text_completion"
        return {**self._head, "object": kind, "choices": choices, "usage": self._usage()}

    async def chunks(self) -> AsyncGenerator[dict[str, Any]]:
        """The answers in pieces, the counts after them where they are asked for. Raises Refusal as `whole` does."""
        request = self._request
        kind = "chat.completion.chunk" if request.is_chat else "text_completion"
        head = {**self._head, "object": kind, **({"usage": None} if request.has_usage else {})}
        with self._decoding() as news:
            async for choice in self._pieces(news):
                yield {**head, "choices": [choice]}
        if request.has_usage:
            yield {**head, "choices": [], "usage": self._usage()}

    async def _pieces(self, news: _News) -> AsyncIterator[dict[str, Any]]:
        """The choices of all chunks."""
        request = self._request
        for answer in self._answers if request.is_chat else ():
            delta = {"role": "assistant", "content": ""}
            yield {"index": answer.index, "delta": delta, "logprobs": None, "finish_reason": None}
        if request.echo:
            async for choice in self._echoed():
                yield choice
        async for answer, new in news:
            answer.ids += new.ids
            answer.reason = new.reason
            n_new = len(answer.ids) - answer.n_told
            if not new.is_last and request.n_top is not None and n_new * _WORTH_READING < answer.n_told:
                continue
            text = answer.growing.piece(answer.ids, new.is_last)
            entries = None
            if request.n_top is not None:
                entries = (await self._scored([answer]))[0][answer.n_told :]
            elif not text and not new.is_last:
                continue
            yield self._choice(answer, text, entries, answer.n_characters)
            answer.n_told, answer.n_characters = len(answer.ids), answer.n_characters + len(text)

    @contextmanager
    def _decoding(self) -> Iterator[_News]:
        """What the engine tells of the answers; when nobody listens any more, they leave it.

        Raises Refusal where it has no room for them.
        """
        queue: asyncio.Queue[tuple[_Answer, Told]] = asyncio.Queue()
        if not self._request.max_tokens:  # prompts are echoed, and nothing comes after them
            for answer in self._answers:
                queue.put_nowait((answer, Told([], "length")))
            yield self._news(queue)
            return
        loop = asyncio.get_running_loop()
        sequences = [self._asked(answer, partial(_put, loop, queue, answer)) for answer in self._answers]
        self._engine.submit(sequences)
        try:
            yield self._news(queue)
        finally:
            self._engine.cancel(sequences)

    async def _news(self, queue: "asyncio.Queue[tuple[_Answer, Told]]") -> _News:
        """What is told of each answer, up to its last; Refusal for an error, which ends all of them."""
        n_left = len(self._answers)
        while n_left:
            answer, new = await queue.get()
            if new.error is not None:
                raise refusal_of(new.error) from new.error
            n_left -= new.is_last
            yield answer, new

    def _asked(self, answer: _Answer, tell: Callable[[Told], None]) -> Asked:
        request = self._request
        at, sample = divmod(answer.index, request.n)
        prompt = request.prompts[at]
        return Asked(
            prompt=prompt.ids,
            proxy_prompt=prompt.proxy_ids,
            key=(request.seed, at, sample),
            max_new_tokens=request.max_tokens,
            stop=request.stop,
            shape=self._shape,
            tell=tell,
        )

    async def _echoed(self) -> AsyncIterator[dict[str, Any]]:
        """The prompts, as the first piece of each answer."""
        request = self._request
        entries = await self._scored_prompts() if request.n_top is not None else [None] * len(request.prompts)
        for answer in self._answers:
            at = answer.index // request.n
            text = request.prompts[at].text
            yield self._choice(answer, text, entries[at], 0)
            answer.n_characters = len(text)

    async def _scored_whole(self) -> list[list[Scored]]:
        """All tokens of each answer, those of an echoed prompt before them."""
        entries = await self._scored(self._answers)
        if self._request.echo:
            of_prompts = await self._scored_prompts()
            entries = [
                of_prompts[answer.index // self._request.n] + own
                for answer, own in zip(self._answers, entries, strict=True)
            ]
        return entries

    async def _scored(self, answers: Sequence[_Answer]) -> list[list[Scored]]:
        """The tokens of these answers so far."""
        ids = [list(answer.ids) for answer in answers]
        prompts = [self._request.prompts[answer.index // self._request.n] for answer in answers]
        return await self._read([list(p.ids) for p in prompts], ids, [list(p.proxy_ids) for p in prompts])

    async def _scored_prompts(self) -> list[list[Scored]]:
        """The tokens of the prompts, of which nothing is said about the first."""
        ids = [list(prompt.ids) for prompt in self._request.prompts]
        first = [of_one[:1] for of_one in ids]
        is_new = not self._request.max_tokens  # and not the rest of what the engine has taken on already
        entries = await self._read(first, [of_one[1:] for of_one in ids], first, is_new=is_new)
        return [[Scored(of_one[0], None, ()), *rest] for of_one, rest in zip(ids, entries, strict=True)]

    async def _read(
        self,
        contexts: list[list[int]],
        continuations: list[list[int]],
        proxy_contexts: list[list[int]],
        *,
        is_new: bool = False,
    ) -> list[list[Scored]]:
        if not any(continuations):
            return [[] for _ in continuations]
        reading = Reading(contexts, continuations, proxy_contexts, self._shape, self._request.n_top or 0)
        self._engine.read(reading, is_new=is_new)
        try:
            scores = await asyncio.wrap_future(reading.scores)
        except Exception as error:
            raise refusal_of(error) from error
        return [scored(ids, score) for ids, score in zip(continuations, scores, strict=True)]

    def _choice(self, answer: _Answer, text: str, entries: Sequence[Scored] | None, start: int) -> dict[str, Any]:
        """A choice, or a piece of one. start: characters of the answer before the text."""
        request = self._request
        choice: dict[str, Any] = {"index": answer.index, "finish_reason": answer.reason, "logprobs": None}
        if not request.is_chat:
            if entries is not None:
                choice["logprobs"] = for_completion(self._tokens, entries, start)
            return {**choice, "text": text}
        if entries is not None:
            choice["logprobs"] = for_chat(self._tokens, entries)
        if request.is_stream:
            return {**choice, "delta": {"content": text}}
        return {**choice, "message": {"role": "assistant", "content": text, "refusal": None}}

    def _usage(self) -> dict[str, int]:
        n_prompt = sum(len(prompt.ids) for prompt in self._request.prompts)
        n_new = sum(len(answer.ids) for answer in self._answers)
        return {"prompt_tokens": n_prompt, "completion_tokens": n_new, "total_tokens": n_prompt + n_new}


def _put(
    loop: asyncio.AbstractEventLoop, queue: "asyncio.Queue[tuple[_Answer, Told]]", answer: _Answer, news: Told
) -> None:
    """Bring news from the engine's thread to that of the connections."""
    loop.call_soon_threadsafe(queue.put_nowait, (answer, news))
