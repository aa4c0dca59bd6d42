"""Loading a pair: from its name or from checkpoints, each read as it is asked for, onto its device."""

import os
from collections.abc import Iterable
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import torch

from proxyalign.errors import InputError
from proxyalign.models.adapter import Adapter, find_adapter, load_adapted
from proxyalign.models.checkpoint import load_config, load_model, load_tokenizer
from proxyalign.models.options import ByRole, Options, options_by_role
from proxyalign.models.pair import ModelPair
from proxyalign.models.wrapped import device_of

PAIRS = ("lab",)  # the pairs that ship with the package
# Those that are made out of packages: where the function lies that makes one on a device, in a dtype.
_MAKERS = {
    "smol": "proxyalign.models.smol.smol_pair",
    "gemma-smol": "proxyalign.models.gemma.gemma_smol_pair",
}
NAMES = (*PAIRS, *_MAKERS)


def load_pair(
    name: str | None = None,
    *,
    base: str | Path | None = None,
    proxy: str | Path | None = None,
    reference: str | Path | None = None,
    device: ByRole[str | torch.device] = "cpu",
    dtype: ByRole[str | torch.dtype] = "auto",
    attn_implementation: str | None = None,
    offline: bool = False,
    revision: ByRole[str | None] = None,
    subfolder: ByRole[str] = "",
    trust_remote_code: ByRole[bool] = False,
    bits: ByRole[int | None] = None,
    device_map: ByRole[str | None] = None,
    tp_plan: ByRole[str | None] = None,
) -> ModelPair:
    """Load a pair by `name`, or from `base` and `proxy`: hub names or folders.

    name: "lab", which ships with the package, "smol" for SmolLM2-135M (extra [smol]) with a proxy of random weights,
    for measuring speed, "gemma-smol" for Gemma 3 270M with SmolLM2-135M-Instruct (extra [real]), or a folder with
    base/ and proxy/ in it, as the lab's training makes it. proxy may be an adapter of PEFT (a folder or hub name with
    adapter_config.json), and so may the others: its change is added to the weights of the model that it names.

    reference: the proxy before alignment, for the rules that read it. attn_implementation: as transformers names it,
    by default what it chooses. offline: use what is on this machine and ask no hub; so does HF_HUB_OFFLINE=1.

    The other options are one value for all models, or some models' own, by role: device={"base": "cuda:0", "proxy":
    "cuda:1"}.

    device: where the models go. dtype: "auto" is float32 for a pair by name, whose recorded numbers depend on it; for
    others bfloat16 on a CPU that multiplies it in hardware (AVX512-BF16 or AMX), float32 on other CPUs, and each
    checkpoint's own elsewhere. Probabilities are float32 in all of them. revision: a branch, a tag or a commit of a hub
    name. subfolder: where the files lie in a folder or a repository. trust_remote_code: run Python code that the
    checkpoint brings. bits: 8, or 4, with which weights are kept, by bitsandbytes. device_map: "auto" spreads a model
    over all devices that there are, by accelerate. tp_plan: "auto" splits each layer of the base over the processes
    that torchrun started, and leaves the other models whole, beside each part of it; these can be asked for it by role.

    Raises InputError for an unknown name, device, attention or option, a checkpoint that cannot be read, one whose
    weights are not those that its config.json asks for, a package that an option needs and is not there, and what
    ModelPair refuses.
    """
    given = {
        "device": device, "dtype": dtype, "revision": revision, "subfolder": subfolder, "bits": bits,
        "trust_remote_code": trust_remote_code, "device_map": device_map, "tp_plan": tp_plan,
    }  # fmt: skip
    if name in _MAKERS and base is None and proxy is None:
        pair = _made(name, options_by_role(("base", "proxy"), given), reference)
        _set_attention((pair.base, pair.proxy), attn_implementation)
        return pair
    base_source, proxy_source = _sources(name, base, proxy)
    sources = {"base": base_source, "proxy": proxy_source}
    if reference is not None:
        sources["reference"] = str(reference)
    options = options_by_role(tuple(sources), given)
    for one in options.values():
        one.where()  # a device that is not there is told before anything is read
    adapters = {role: _adapter(source, offline, options[role]) for role, source in sources.items()}
    tokenizers = {role: _tokenizer(sources[role], adapters[role], offline, options[role]) for role in sources}
    for role, source in sources.items():
        if options[role].tp_plan is not None and adapters[role] is None:
            _check_heads(role, load_config("load_pair", source, offline, **options[role].for_files()))
    models: dict[str, Any] = {}
    for role, source in sources.items():
        model = _model(source, adapters[role], offline, options[role], is_named=name is not None)
        if not options[role].is_placed:
            beside_base = "base" in models and options["base"].tp_plan is not None
            model.to(device_of(models["base"]) if beside_base else options[role].device)
        models[role] = model.requires_grad_(False)
    _set_attention(models.values(), attn_implementation)
    return ModelPair(
        **models,
        tokenizer=tokenizers["base"],
        proxy_tokenizer=tokenizers["proxy"],
        reference_tokenizer=tokenizers.get("reference"),
    )


def _made(name: str, options: dict[str, Options], reference: str | Path | None) -> ModelPair:
    """A pair out of packages, whose models share a device and a dtype and have no files to choose among."""
    asked = options["base"]
    if reference is not None or asked.is_for_a_checkpoint() or options["proxy"] != asked:
        raise InputError(
            f"load_pair: the pair {name!r} takes a device and a dtype, the same for both models, got other options; "
            "drop them, or pass base and proxy"
        )
    home, _, maker = _MAKERS[name].rpartition(".")
    where, kind = asked.where(), asked.numbers(is_named=False)
    pair: ModelPair = getattr(import_module(home), maker)(where, torch.float32 if kind == "auto" else kind)
    return pair


def _adapter(source: str, offline: bool, options: Options) -> Adapter | None:
    return find_adapter("load_pair", source, offline, revision=options.revision, subfolder=options.subfolder)


def _tokenizer(source: str, adapter: Adapter | None, offline: bool, options: Options) -> Any:
    """The checkpoint's tokenizer; an adapter's own, or that of the model that it belongs to."""
    if adapter is None:
        return load_tokenizer("load_pair", source, offline, **options.for_files())
    trusted = {"trust_remote_code": options.trust_remote_code}
    if adapter.has_tokenizer:
        return load_tokenizer("load_pair", str(adapter.folder), offline, **trusted)
    named = {} if adapter.parent_revision is None else {"revision": adapter.parent_revision}
    return load_tokenizer("load_pair", adapter.parent, offline, **trusted, **named)


def _model(source: str, adapter: Adapter | None, offline: bool, options: Options, is_named: bool) -> Any:
    weights = options.for_weights(is_named)
    if adapter is None:
        return load_model("load_pair", source, offline, **options.for_files(), **weights)
    trusted = options.trust_remote_code
    return load_adapted("load_pair", adapter, offline, trust_remote_code=trusted, **weights)


def _check_heads(role: str, config: Any) -> None:
    """Raise InputError where heads of attention would be torn, which transformers finds out in the first pass."""
    n_processes, decoder = int(os.environ["WORLD_SIZE"]), config.get_text_config(decoder=True)
    for heads in ("num_attention_heads", "num_key_value_heads"):
        n_heads = getattr(decoder, heads, None)
        if n_heads is not None and n_heads % n_processes:
            raise InputError(
                f"load_pair: tp_plan must give each process whole heads, got {heads} {n_heads} of the {role} for "
                f"{n_processes} processes; start a number of them that divides it, or leave this model whole"
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
            f"load_pair: name must be {', '.join(NAMES)}, or a folder with base/ and proxy/ in it, got {name!r}; "
            "for other models pass base and proxy, hub names or folders"
        )
    return str(folder / "base"), str(folder / "proxy")
