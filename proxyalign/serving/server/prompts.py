"""What each model reads of a request: a text or token ids as they stand, or a chat in the proxy's template."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from proxyalign.decoding.arguments import proxy_ids
from proxyalign.models.pair import ModelPair
from proxyalign.models.tokens import check_unicode
from proxyalign.serving.server.refusal import Refusal, about
from proxyalign.validation import check_ids

Message = Mapping[str, str]


@dataclass(frozen=True)
class Prompt:
    """One prompt: its token ids for each model, and the text that `echo` gives back."""

    ids: Sequence[int]
    proxy_ids: Sequence[int]
    text: str

    @property
    def n_longest(self) -> int:
        """Tokens of whichever is longer."""
        return max(len(self.ids), len(self.proxy_ids))


class Prompts:
    """How requests are read to a pair.

    proxy_chat: the proxy reads its chat template, and the base the plain text. as_asked: for a pair that was taught
    without a template, how a single question is put to it; None for other pairs.
    """

    def __init__(
        self, pair: ModelPair, *, proxy_chat: bool = False, as_asked: Callable[[str], str] | None = None
    ) -> None:
        self._pair, self.proxy_chat, self._as_asked = pair, proxy_chat, as_asked
        if proxy_chat:
            pair.chat_text("?")  # a proxy without a template is told of before anybody asks

    def of_text(self, given: str | list[int]) -> Prompt:
        """A prompt as it stands; in the proxy's template for the proxy alone, where it reads that."""
        pair = self._pair
        with about("prompt"):
            if isinstance(given, str):
                check_unicode("completions", given)
                ids, text = pair.encode(given), given
            else:
                ids = check_ids("completions", "prompt", given, pair.n_ids_of("base"))
                text = str(pair.tokenizer.decode(ids, skip_special_tokens=True))
            if not ids:
                raise Refusal("completions: prompt must hold at least one token, got none; write one", param="prompt")
            own = pair.chat(text) if self.proxy_chat else proxy_ids(pair, [given], [ids], 0)[0]
        return Prompt(ids, own, text)

    def of_chat(self, messages: Sequence[Message]) -> Prompt:
        """A chat in the proxy's template for both models, or for the proxy alone, where the base reads plain text."""
        pair = self._pair
        with about("messages"):
            if self._as_asked is not None:
                return self._question(messages, self._as_asked)
            text = pair.chat_text(messages)
            if not self.proxy_chat:
                return Prompt(pair.template_ids(text, "base"), pair.template_ids(text), text)
            plain = as_plain(messages)
            return Prompt(pair.encode(plain), pair.template_ids(text), plain)

    def _question(self, messages: Sequence[Message], as_asked: Callable[[str], str]) -> Prompt:
        if [message["role"] for message in messages] != ["user"] or not messages[0]["content"].strip():
            roles = " and ".join(message["role"] for message in messages)
            raise Refusal(
                f"chat: messages must be one question of the user's for a pair without a chat template, got {roles}; "
                "ask a single question",
                param="messages",
            )
        return self.of_text(as_asked(messages[0]["content"]))


def as_plain(messages: Sequence[Message]) -> str:
    """A chat as a model reads it that knows no template: what was said alone, or with names, up to the next answer."""
    if len(messages) == 1:
        return messages[0]["content"]
    said = [f"{message['role'].capitalize()}: {message['content']}" for message in messages]
    return "\n\n".join([*said, "Assistant:"])
