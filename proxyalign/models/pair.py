"""A base model and its proxy: what they must have in common, and what they read and end with."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from proxyalign.displays import as_card, as_line
from proxyalign.errors import InputError
from proxyalign.models.modes import evaluating
from proxyalign.models.token_bytes import same_vocabulary
from proxyalign.models.tokens import check_unicode, ids_of_prompts
from proxyalign.models.vocabulary import Vocabulary, kept_with
from proxyalign.models.wrapped import (
    config_of,
    context_of,
    device_of,
    ends_of,
    layers_of,
    logit_width,
    steady_context_of,
    text_config_of,
)

_NO_CACHE = ("cpmant", "openai-gpt", "prophetnet", "reformer", "xlm", "xlnet")  # none, or one of another kind
_KNOWN_LAYERS = {"full_attention", "sliding_attention"}  # whose cache can be taken back token by token


@dataclass(frozen=True, eq=False)
class ModelPair:
    """A base and a proxy: causal language models of transformers, wrapped or not, over one vocabulary or over two.

    tokenizer: the base's. proxy_tokenizer: the proxy's own, for its chat template and its end of text; where left out,
    the same. Where the two differ in what their ids spell, the pair is decoded piece by piece over `vocabulary`
    (statement 16); where they do not, ids are pieces. reference: the proxy before alignment, for targets that read it,
    over the proxy's vocabulary. reference_tokenizer: the reference's, for its end of text. The models are put in
    evaluation mode; `evaluating` holds them in it where they are trained later.

    A base that someone else serves (`pa.ServedBase`) takes the base's place in `generate`; tokenizer may then be left
    out, or be the proxy's.

    Raises InputError where a model is none, keeps a recurrent state, which no decoder can take back, where models of
    one vocabulary differ in size and one does not reach all of the tokenizer's tokens, where a tokenizer of two cannot
    write the other model's pieces, and where the reference's vocabulary is not the proxy's.
    """

    base: Any
    proxy: Any
    tokenizer: Any = None
    reference: Any = None
    proxy_tokenizer: Any = None
    reference_tokenizer: Any = None
    has_two_vocabularies: bool = field(init=False)
    vocab_size: int = field(init=False)  # pieces; of one vocabulary the ids that all share, padding columns cut off

    def __post_init__(self) -> None:
        for role, model in self._models():
            _check_cacheable(role, model)
            for layer in layers_of(model):
                layer.eval()
        own = self.tokenizer_of("proxy")
        if own is None or (self.tokenizer is None and not self.is_served):
            raise InputError("ModelPair: tokenizer must be given, got none; pass the tokenizer that the models share")
        if self.is_served:
            object.__setattr__(self, "has_two_vocabularies", False)
            object.__setattr__(self, "vocab_size", 0)
            if self.tokenizer is not None and self.proxy_tokenizer is not None:
                object.__setattr__(self, "base", self.base.beside(self.tokenizer))
            return
        if self.reference_tokenizer is not None and not same_vocabulary(self.reference_tokenizer, own):
            raise InputError(
                "ModelPair: the reference must share the proxy's vocabulary, got a tokenizer whose ids spell other "
                "tokens; take the checkpoint that the proxy was aligned from"
            )
        differ = not same_vocabulary(self.tokenizer, own)
        object.__setattr__(self, "has_two_vocabularies", differ)
        object.__setattr__(self, "vocab_size", len(self.vocabulary) if differ else self._n_shared_ids())

    def _facts(self) -> dict[str, str]:
        facts = {"base": repr(self.base)} if self.is_served else {}
        facts |= {role: _in_words(model) for role, model in self._models()}
        if not self.is_served:
            kind = "pieces of two vocabularies" if self.has_two_vocabularies else "tokens"
            facts["vocabulary"] = f"{self.vocab_size:,} {kind}"
            facts["context"] = "any length" if self.context_length is None else f"{self.context_length:,} tokens"
        return facts

    def __repr__(self) -> str:
        return as_line("ModelPair", self._facts())

    def _repr_html_(self) -> str:
        """The pair in a notebook: its models, how large they are, and what they share."""
        return as_card("ModelPair", self._facts())

    def _n_shared_ids(self) -> int:
        widths = {role: logit_width(model) for role, model in self._models()}
        n_tokens = max(self.tokenizer.get_vocab().values()) + 1
        if len(set(widths.values())) > 1 and min(widths.values()) < n_tokens:
            sizes = ", ".join(f"{role} {width}" for role, width in widths.items())
            raise InputError(
                f"ModelPair: the models must share the tokenizer's {n_tokens} tokens, got vocabularies of {sizes}; "
                "take models of one family, or pass the proxy's own tokenizer as proxy_tokenizer"
            )
        return int(min(n_tokens, *widths.values()))

    @property
    def is_served(self) -> bool:
        """Whether the base is behind a server, and only `generate` can ask it."""
        return callable(getattr(self.base, "answer", None))

    def _models(self) -> list[tuple[str, Any]]:
        named = [("base", None if self.is_served else self.base), ("proxy", self.proxy), ("reference", self.reference)]
        return [(role, model) for role, model in named if model is not None]

    @cached_property
    def eos_token_ids(self) -> tuple[int, ...]:
        """The ids that end a text: those of every model's generation settings and of every tokenizer, in rising order.

        A model whose generation settings name none ends with its configuration's. Of two vocabularies the one piece
        that stands for all of these.
        """
        if self.has_two_vocabularies:
            return self.vocabulary.end_ids
        tokenizers = self.tokenizer, self.proxy_tokenizer, self.reference_tokenizer
        ids = {i for _, model in self._models() for i in ends_of(model, *tokenizers)}
        return tuple(sorted(i for i in ids if 0 <= i < self.vocab_size))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the ids of answers spell: `vocabulary.pieces`, byte strings, None for the end of text.

        Raises InputError for a tokenizer whose bytes are not known.
        """
        if not self.has_two_vocabularies:
            return Vocabulary.shared(self.tokenizer, self.eos_token_ids, self.vocab_size)
        tokenizers, ends, widths = {}, {}, {}
        for role, model in self._models():
            tokenizers[role], widths[role] = self.tokenizer_of(role), logit_width(model)
            ends[role] = tuple(i for i in ends_of(model, tokenizers[role]) if 0 <= i < widths[role])
        return kept_with(self.proxy, tokenizers, (ends, widths), lambda: Vocabulary(tokenizers, ends, widths))

    @property
    def spelling(self) -> Any:
        """What shows the ids of answers as text, by `decode`: the tokenizer, or the vocabulary where there are two."""
        return self.vocabulary if self.has_two_vocabularies else self.tokenizer

    def tokenizer_of(self, role: str) -> Any:
        """The tokenizer whose ids the model of this role reads and writes."""
        own = {"base": self.tokenizer, "proxy": self.proxy_tokenizer, "reference": self.proxy_tokenizer}[role]
        return self.tokenizer if own is None else own

    def n_ids_of(self, role: str) -> int:
        """How many ids the model of this role may read and write."""
        return logit_width(getattr(self, role)) if self.has_two_vocabularies else self.vocab_size

    def evaluating(self) -> AbstractContextManager[None]:
        """A context in which the models are in evaluation mode; at its end every module is back in its own mode.

        Gradient checkpointing stays switched on, and has no effect meanwhile.
        """
        return evaluating([model for _, model in self._models()])

    def encode(self, text: str, role: str = "base") -> list[int]:
        """The token ids of a prompt, for the model of this role.

        With the special tokens that the tokenizer writes first, unless the text begins with the first of them, and
        without those that it would close the text with; what the text itself spells is kept. A text longer than the
        tokenizer's limit raises no warning. Raises InputError for a text that is not Unicode.
        """
        (ids,) = self.encode_all([text], role)
        return ids

    def encode_all(self, texts: Sequence[str], role: str = "base") -> list[list[int]]:
        """`encode` of each of these, which takes less time: what the tokenizer writes first is looked for once."""
        check_unicode("encode", texts)
        return ids_of_prompts(self._prompt_tokenizer(role), texts)

    def chat(self, messages: str | Sequence[Mapping[str, str]]) -> list[int]:
        """Token ids of messages in the proxy's chat template, which writes all special tokens that there are to be.

        Arguments and errors are those of `chat_text`.
        """
        return self.template_ids(self.chat_text(messages))

    def template_ids(self, text: str, role: str = "proxy") -> list[int]:
        """Token ids of a text that has all its special tokens, such as `chat_text`, for the model of this role."""
        tokenizer = self._prompt_tokenizer(role)
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _prompt_tokenizer(self, role: str) -> Any:
        """What prompts are read with: one tokenizer where ids are shared, whichever the proxy brings."""
        return self.tokenizer_of(role) if self.has_two_vocabularies else self.tokenizer

    def chat_text(self, messages: str | Sequence[Mapping[str, str]], *, goes_on: bool = False) -> str:
        """Messages in the proxy's chat template, up to where its answer begins; a text alone is what the user says.

        goes_on: the last message is the beginning of the answer. Raises InputError where the proxy's tokenizer has no
        template, the template refuses the messages, or one of them is not Unicode.
        """
        from jinja2 import TemplateError

        check_unicode("chat", messages)
        tokenizer = self.chat_tokenizer
        if not getattr(tokenizer, "chat_template", None):
            raise InputError(
                "chat: the proxy's tokenizer must have a chat template, got none; take a proxy that was aligned on "
                "chats, or write the prompt yourself"
            )
        said = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
        try:
            return str(
                tokenizer.apply_chat_template(
                    said, tokenize=False, add_generation_prompt=not goes_on, continue_final_message=goes_on
                )
            )
        except (ValueError, IndexError, TemplateError) as error:
            raise InputError(
                f"chat: the proxy's chat template must take the messages, got {_roles(said)}; use the roles that it "
                f"knows (it says: {str(error).splitlines()[0]})"
            ) from error

    @property
    def chat_tokenizer(self) -> Any:
        """The tokenizer whose chat template counts: the proxy's own."""
        return self.tokenizer if self.proxy_tokenizer is None else self.proxy_tokenizer

    @property
    def device(self) -> torch.device:
        """Where the base's input goes, and laws are worked on."""
        return device_of(self.proxy if self.is_served else self.base)

    def device_of(self, role: str) -> torch.device:
        """Where the input of the model of this role goes."""
        return device_of(getattr(self, role))

    @cached_property
    def context_length(self) -> int | None:
        """The most tokens, prompt and answer together, that all models can read; None where none says."""
        lengths = [context_of(model) for _, model in self._models()]
        return min((length for length in lengths if length is not None), default=None)

    def context_of(self, role: str) -> int | None:
        """The most tokens of its own that the model of this role can read: of one vocabulary, those that all can.

        Of two, where a text ends as soon as one model has no room, no further than its rotary angles stay the same.
        """
        return steady_context_of(getattr(self, role)) if self.has_two_vocabularies else self.context_length


def _in_words(model: Any) -> str:
    config = config_of(model)
    name = getattr(config, "name_or_path", None) or ""
    name = Path(name).name if Path(name).is_absolute() else name  # a folder of whoever looks at it
    numbers = list(layers_of(model)[-1].parameters())
    dtypes = " and ".join(sorted({str(one.dtype).removeprefix("torch.") for one in numbers}))
    size = f"{_short(sum(one.numel() for one in numbers))} parameters in {dtypes}" if numbers else "packed weights"
    return f"{config.model_type}{f' {name}' if name else ''}, {size} on {device_of(model)}"


def _short(n: int) -> str:
    """A number as it is spoken: 134.5M."""
    size, letter = next((one for one in ((10**9, "B"), (10**6, "M"), (10**3, "k")) if n >= one[0]), (1, ""))
    return f"{n / size:.4g}{letter}"


def _roles(messages: Sequence[Mapping[str, str]]) -> str:
    return " and ".join(message.get("role", "one without a role") for message in messages) or "none"


def _check_cacheable(role: str, model: Any) -> None:
    """Raise InputError for a model whose cache holds more than keys and values, and so cannot be taken back."""
    config = config_of(model)
    if config is None:
        raise InputError(
            f"ModelPair: {role} must be a causal language model of transformers, got {type(model).__name__}; load one "
            "with load_pair or AutoModelForCausalLM.from_pretrained"
        )
    layers = set(getattr(text_config_of(model), "layer_types", None) or []) - _KNOWN_LAYERS
    is_stateful = any(getattr(layer, "_is_stateful", False) for layer in layers_of(model))
    if is_stateful or layers or getattr(config, "is_encoder_decoder", False) or config.model_type in _NO_CACHE:
        what = ", ".join(sorted(layers)) or config.model_type
        raise InputError(
            f"ModelPair: {role} must be a decoder of full or sliding attention, whose cache can be cut back, "
            f"got {what}; choose a model without recurrent, convolutional or encoder states"
        )
