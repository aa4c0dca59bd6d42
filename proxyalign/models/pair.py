"""A base model and its proxy over one vocabulary: what they must have in common, and what they read and end with."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from proxyalign.errors import InputError
from proxyalign.models.modes import evaluating
from proxyalign.models.tokens import check_unicode, ids_of_prompt
from proxyalign.models.wrapped import config_of, device_of, end_ids_of, id_list, layers_of, logit_width, text_config_of

_NO_CACHE = ("cpmant", "openai-gpt", "prophetnet", "reformer", "xlm", "xlnet")  # none, or one of another kind
_KNOWN_LAYERS = {"full_attention", "sliding_attention"}  # whose cache can be taken back token by token


@dataclass(frozen=True, eq=False)
class ModelPair:
    """A base and a proxy (transformers causal language models, wrapped or not) that share a tokenizer.

    reference: the proxy before alignment, for targets that read it. proxy_tokenizer: the proxy's own, for its chat
    template and its end of text; where left out, the shared one. reference_tokenizer: the reference's, for its end of
    text. The models are put in evaluation mode; `evaluating` holds them in it where they are trained later.

    Raises InputError where a model is none, keeps a recurrent state, which no decoder can take back, where the models
    are on several devices, or where their vocabularies differ in size and one does not reach all of the tokenizer's
    tokens.
    """

    base: Any
    proxy: Any
    tokenizer: Any
    reference: Any = None
    proxy_tokenizer: Any = None
    reference_tokenizer: Any = None
    vocab_size: int = field(init=False)  # ids that every model and the tokenizer share; padding columns are cut off

    def __post_init__(self) -> None:
        for role, model in self._models():
            _check_cacheable(role, model)
            for layer in layers_of(model):
                layer.eval()
        devices = {role: str(device_of(model)) for role, model in self._models()}
        if len(set(devices.values())) > 1:
            places = ", ".join(f"{role} on {device}" for role, device in devices.items())
            raise InputError(f"ModelPair: the models must be on one device, got {places}; move them with .to(device)")
        widths = {role: logit_width(model) for role, model in self._models()}
        n_tokens = max(self.tokenizer.get_vocab().values()) + 1
        if len(set(widths.values())) > 1 and min(widths.values()) < n_tokens:
            sizes = ", ".join(f"{role} {width}" for role, width in widths.items())
            raise InputError(
                f"ModelPair: the models must share the tokenizer's {n_tokens} tokens, got vocabularies of {sizes}; "
                "take a base and a proxy of one model family"
            )
        object.__setattr__(self, "vocab_size", min(n_tokens, *widths.values()))

    def _models(self) -> list[tuple[str, Any]]:
        named = [("base", self.base), ("proxy", self.proxy), ("reference", self.reference)]
        return [(role, model) for role, model in named if model is not None]

    @cached_property
    def eos_token_ids(self) -> tuple[int, ...]:
        """The ids that end a text: those of every model's generation settings and of every tokenizer, in rising order.

        A model whose generation settings name none ends with its configuration's.
        """
        ids = {i for _, model in self._models() for i in end_ids_of(model)}
        for tokenizer in (self.tokenizer, self.proxy_tokenizer, self.reference_tokenizer):
            ids.update(id_list(getattr(tokenizer, "eos_token_id", None)))
        return tuple(sorted(i for i in ids if 0 <= i < self.vocab_size))

    def evaluating(self) -> AbstractContextManager[None]:
        """A context in which the models are in evaluation mode; at its end every module is back in its own mode.

        Gradient checkpointing stays switched on, and has no effect meanwhile.
        """
        return evaluating([model for _, model in self._models()])

    def encode(self, text: str) -> list[int]:
        """The token ids of a prompt.

        With the special tokens that the tokenizer writes first, unless the text begins with the first of them, and
        without those that it would close the text with; what the text itself spells is kept. A text longer than the
        tokenizer's limit raises no warning. Raises InputError for a text that is not Unicode.
        """
        check_unicode("encode", text)
        return ids_of_prompt(self.tokenizer, text)

    def chat(self, messages: str | Sequence[Mapping[str, str]]) -> list[int]:
        """Token ids of messages in the proxy's chat template, which writes all special tokens that there are to be.

        Arguments and errors are those of `chat_text`.
        """
        return list(self.tokenizer(self.chat_text(messages), add_special_tokens=False, verbose=False)["input_ids"])

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
        """Where the base's input goes."""
        return device_of(self.base)

    @cached_property
    def context_length(self) -> int | None:
        """The most tokens, prompt and answer together, that both models can read; None where neither says."""
        lengths = [getattr(text_config_of(model), "max_position_embeddings", None) for _, model in self._models()]
        return min((length for length in lengths if length is not None), default=None)


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
