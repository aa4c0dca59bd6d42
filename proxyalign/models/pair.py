"""A base model and its proxy over one vocabulary: how they are loaded, and what they must have in common."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from proxyalign.errors import InputError

PAIRS = ("lab",)  # the pairs that ship with the package
_NO_CACHE = ("cpmant", "openai-gpt", "prophetnet", "reformer", "xlm", "xlnet")  # none, or one of another kind
_KNOWN_LAYERS = {"full_attention", "sliding_attention"}  # whose cache can be taken back token by token
_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, eq=False)
class ModelPair:
    """A base and a proxy (transformers causal language models) that share a tokenizer.

    reference: the proxy before alignment, for targets that read it. proxy_tokenizer: the proxy's own, for its chat
    template; where left out, the shared one. The models are put in evaluation mode.

    Raises InputError where a model keeps a recurrent state, which no decoder can take back, where the models are on
    several devices, or where their vocabularies differ in size and one does not reach all of the tokenizer's tokens.
    """

    base: Any
    proxy: Any
    tokenizer: Any
    reference: Any = None
    proxy_tokenizer: Any = None
    vocab_size: int = field(init=False)  # ids that every model and the tokenizer share; padding columns are cut off

    def __post_init__(self) -> None:
        for role, model in self._models():
            _check_cacheable(role, model)
            model.eval()
        devices = {role: str(model.device) for role, model in self._models()}
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
        """The ids that end a text: those of the models' generation settings and of the tokenizer, in rising order."""
        ids: set[int] = set()
        for _, model in self._models():
            ids.update(id_list(getattr(model.generation_config, "eos_token_id", None)))
        ids.update(id_list(self.tokenizer.eos_token_id))
        return tuple(sorted(i for i in ids if 0 <= i < self.vocab_size))

    def encode(self, text: str) -> list[int]:
        """Token ids, with the special tokens that the tokenizer adds, unless the text begins with its first one.

        A text longer than the tokenizer's limit raises no warning.
        """
        is_marked = bool(self.tokenizer.bos_token) and text.startswith(self.tokenizer.bos_token)
        return list(self.tokenizer(text, add_special_tokens=not is_marked, verbose=False)["input_ids"])

    def chat(self, messages: str | Sequence[Mapping[str, str]]) -> list[int]:
        """Token ids of messages in the proxy's chat template, which writes all special tokens that there are to be.

        Arguments and errors are those of `chat_text`.
        """
        return list(self.tokenizer(self.chat_text(messages), add_special_tokens=False, verbose=False)["input_ids"])

    def chat_text(self, messages: str | Sequence[Mapping[str, str]], *, goes_on: bool = False) -> str:
        """Messages in the proxy's chat template, up to where its answer begins; a text alone is what the user says.

        goes_on: the last message is the beginning of the answer. Raises InputError where the proxy's tokenizer has no
        template, or the template refuses the messages.
        """
        from jinja2 import TemplateError

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
        return torch.device(self.base.device)

    @cached_property
    def context_length(self) -> int | None:
        """The most tokens, prompt and answer together, that both models can read; None where neither says."""
        lengths = [getattr(_text_config(model), "max_position_embeddings", None) for _, model in self._models()]
        return min((length for length in lengths if length is not None), default=None)


def load_pair(
    name: str | None = None,
    *,
    base: str | Path | None = None,
    proxy: str | Path | None = None,
    reference: str | Path | None = None,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype = "auto",
    attn_implementation: str | None = None,
    offline: bool = False,
) -> ModelPair:
    """Load a pair by `name`, or from `base` and `proxy`: hub names or folders.

    name: "lab", which ships with the package, "smol" for SmolLM2-135M (extra [smol]) with a proxy of random weights,
    for measuring speed, or a folder with base/ and proxy/ in it, as the lab's training makes it.

    reference: the proxy before alignment, for the rules that read it. device: where the models go. dtype: "auto" is
    float32 for a pair by name, whose recorded numbers depend on it; for others bfloat16 on a CPU that multiplies it in
    hardware (AVX512-BF16 or AMX), float32 on other CPUs, and each checkpoint's own elsewhere. Probabilities are float32
    in all of them. attn_implementation: as transformers names it, by default what it chooses. offline: use what is on
    this machine and ask no hub.

    Raises InputError for an unknown name, device or attention, a checkpoint that cannot be read, and two vocabularies
    that differ; the message then shows the first tokens that do.
    """
    if name == "smol" and base is None and proxy is None:
        from proxyalign.models.smol import smol_pair

        where = _device(device)
        kind = _dtype(dtype, where, is_named=False)
        pair = smol_pair(where, torch.float32 if kind == "auto" else kind)  # what its file is read as
        _set_attention((pair.base, pair.proxy), attn_implementation)
        return pair
    base_source, proxy_source = _sources(name, base, proxy)
    kind = _dtype(dtype, _device(device), is_named=name is not None)
    sources = {"base": base_source, "proxy": proxy_source}
    if reference is not None:
        sources["reference"] = str(reference)
    tokenizers = {role: load("load_pair", "AutoTokenizer", source, offline) for role, source in sources.items()}
    for role in list(sources)[1:]:
        _check_same_vocabulary(role, tokenizers["base"], tokenizers[role])
    models = {
        role: load("load_pair", "AutoModelForCausalLM", source, offline, dtype=kind).to(device).requires_grad_(False)
        for role, source in sources.items()
    }
    _set_attention(models.values(), attn_implementation)
    return ModelPair(**models, tokenizer=tokenizers["base"], proxy_tokenizer=tokenizers["proxy"])


def _roles(messages: Sequence[Mapping[str, str]]) -> str:
    return " and ".join(message.get("role", "one without a role") for message in messages) or "none"


def _set_attention(models: Iterable[Any], implementation: str | None) -> None:
    """Let the models attend in this way, where one is named; InputError where they cannot."""
    try:
        for model in models if implementation else ():
            model.set_attn_implementation(implementation)
    except (ValueError, ImportError) as error:
        raise InputError(
            f"load_pair: attn_implementation must be one that the models have here, got {implementation!r}; take "
            f"'sdpa' or 'eager' (transformers says: {str(error).splitlines()[0]})"
        ) from error


def _sources(name: str | None, base: str | Path | None, proxy: str | Path | None) -> tuple[str, str]:
    """Where the two checkpoints are, from a pair's name or from two sources, one or the other."""
    if name is not None and (base is not None or proxy is not None):
        raise InputError(f"load_pair: name or base and proxy must be given, not both, got name {name!r}; drop one")
    if name is None:
        if base is None or proxy is None:
            missing = "base" if base is None else "proxy"
            raise InputError(
                f"load_pair: base and proxy must both be given, got no {missing}; pass a hub name or a folder for it"
            )
        return str(base), str(proxy)
    folder = resources.files("proxyalign.models") / name / "weights" if name in PAIRS else Path(name)
    if not (folder / "base").is_dir() or not (folder / "proxy").is_dir():
        raise InputError(
            f"load_pair: name must be {' or '.join(PAIRS)}, or a folder with base/ and proxy/ in it, got {name!r}; "
            "for other models pass base and proxy, hub names or folders"
        )
    return str(folder / "base"), str(folder / "proxy")


def _device(device: str | torch.device) -> torch.device:
    """The device called `device`, after a check that torch can put something there."""
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:  # an unknown name, and a kind that this torch was built without
        raise InputError(
            f"load_pair: device must be one that torch can use on this machine, such as cpu, got {str(device)!r}; "
            "pass one of those"
        ) from error


def _dtype(dtype: str | torch.dtype, device: torch.device, is_named: bool) -> Any:
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype == "auto" and is_named:
        return torch.float32
    if dtype == "auto" and device.type == "cpu":
        return torch.bfloat16 if _multiplies_bfloat16() else torch.float32
    if dtype == "auto":
        return dtype
    if dtype not in _DTYPES:
        raise InputError(f"load_pair: dtype must be auto, {', '.join(_DTYPES)}, got {dtype!r}; choose one of these")
    return _DTYPES[dtype]


def _multiplies_bfloat16() -> bool:
    """Whether this machine's processor has instructions for products of bfloat16, without which they are slow."""
    # Torch says so in private functions alone; a release without them is taken to say no.
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, lambda: False)() for question in questions)


def load(owner: str, kind: str, source: str, offline: bool, **options: Any) -> Any:
    """`transformers.<kind>.from_pretrained(source)`, its many ways of not finding something told in one sentence."""
    import transformers

    is_path = source.startswith((".", "/", "~")) or source.count("/") > 1
    if is_path and not Path(source).is_dir():
        raise InputError(f"{owner}: {source!r} is not a folder; pass the folder of a checkpoint or a hub name")
    try:
        return getattr(transformers, kind).from_pretrained(source, local_files_only=offline, **options)
    except (OSError, ValueError, KeyError) as error:
        where = "on this machine (offline: no hub was asked)" if offline else "here or on the hub"
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{owner}: {source!r} holds no checkpoint that can be read {where}; check the name, or pass a folder "
            f"with config.json, weights and tokenizer (transformers says: {first_line})"
        ) from error


def _check_same_vocabulary(role: str, base: Any, other: Any) -> None:
    """Raise InputError unless both tokenizers give every id the same string."""
    of_base = {i: token for token, i in base.get_vocab().items()}
    of_other = {i: token for token, i in other.get_vocab().items()}
    if of_base == of_other:
        return
    differing = [i for i in sorted(of_base.keys() | of_other.keys()) if of_base.get(i) != of_other.get(i)]
    shown = ", ".join(f"id {i}: base {of_base.get(i)!r}, {role} {of_other.get(i)!r}" for i in differing[:3])
    raise InputError(
        f"load_pair: base and {role} must share one vocabulary, got {len(differing)} ids that differ ({shown}); "
        f"take a base and a {role} of one model family"
    )


def _check_cacheable(role: str, model: Any) -> None:
    """Raise InputError for a model whose cache holds more than keys and values, and so cannot be taken back."""
    config = _text_config(model)
    layers = set(getattr(config, "layer_types", None) or []) - _KNOWN_LAYERS
    is_other = getattr(model, "_is_stateful", False) or getattr(model.config, "is_encoder_decoder", False)
    if is_other or layers or model.config.model_type in _NO_CACHE:
        what = ", ".join(sorted(layers)) or model.config.model_type
        raise InputError(
            f"ModelPair: {role} must be a decoder of full or sliding attention, whose cache can be cut back, "
            f"got {what}; choose a model without recurrent, convolutional or encoder states"
        )


def _text_config(model: Any) -> Any:
    return model.config.get_text_config(decoder=True)


def logit_width(model: Any) -> int:
    """How many logits the model gives at each position."""
    head = model.get_output_embeddings()
    return int(_text_config(model).vocab_size if head is None else head.weight.shape[0])


def id_list(ids: int | list[int] | None) -> list[int]:
    """None, one id or many, as transformers keeps them, as a list."""
    if ids is None:
        return []
    return [ids] if isinstance(ids, int) else list(ids)
