"""Loading a pair: from its name or two checkpoints, onto a device, in a dtype, over one vocabulary."""

import os
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from proxyalign.errors import InputError
from proxyalign.models.checkpoint import load_model, load_tokenizer
from proxyalign.models.pair import ModelPair
from proxyalign.models.smol import smol_pair

PAIRS = ("lab",)  # the pairs that ship with the package
_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


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

    Raises InputError for an unknown name, device or attention, a checkpoint that cannot be read, one whose weights are
    not those that its config.json asks for, and two vocabularies that differ; the message then shows the first tokens
    that do.
    """
    if name == "smol" and base is None and proxy is None:
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
    tokenizers = {role: load_tokenizer("load_pair", source, offline) for role, source in sources.items()}
    for role in list(sources)[1:]:
        _check_same_vocabulary(role, tokenizers["base"], tokenizers[role])
    models = {
        role: load_model("load_pair", source, offline, dtype=kind).to(device).requires_grad_(False)
        for role, source in sources.items()
    }
    _set_attention(models.values(), attn_implementation)
    return ModelPair(
        **models,
        tokenizer=tokenizers["base"],
        proxy_tokenizer=tokenizers["proxy"],
        reference_tokenizer=tokenizers.get("reference"),
    )


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
    if not all(os.path.isdir(str(folder / part)) for part in ("base", "proxy")):
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
