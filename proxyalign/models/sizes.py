"""How large a checkpoint is, before it is loaded or even here: counted in its files, asked of the hub, or recorded."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxyalign.errors import InputError
from proxyalign.models.checkpoint import first_line, load_config

BYTES = {"float64": 8.0, "float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "8 bits": 1.0, "4 bits": 0.5}  # of a weight


@dataclass(frozen=True)
class Size:
    """What a checkpoint takes.

    name, revision: as it was asked for. commit: of the hub, where that said so. n_parameters: weights, a tied one once
    where the files have it once. n_bytes: of its files of weights. n_layers, n_kv_heads, head_dim: of the decoder, for
    keys and values. context: the most positions that it has, None where it does not say. source: where the numbers are
    from.
    """

    name: str
    revision: str
    commit: str | None
    n_parameters: int
    n_bytes: int
    n_layers: int
    n_kv_heads: int
    head_dim: int
    context: int | None
    source: str

    def weights(self, dtype: str) -> float:
        """Bytes of the weights in a dtype or in "8 bits" or "4 bits"; at least, as packing leaves embeddings as they
        are and adds scales."""
        return self.n_parameters * BYTES[dtype]

    def cache(self, n_tokens: int, dtype: str) -> float:
        """Bytes of the keys and values of `n_tokens` tokens, all layers full; beside packed weights in 16 bits."""
        return 2.0 * self.n_layers * self.n_kv_heads * self.head_dim * n_tokens * max(2.0, BYTES[dtype])


def size_of(
    owner: str, name: str, *, revision: str | None = None, subfolder: str = "", offline: bool = False,
    recorded: Mapping[str, Any] | None = None,
) -> Size:  # fmt: skip
    """The size of the checkpoint in a folder, or of a hub name; of the latter nothing is fetched but its config.json.

    owner: who refuses, in messages. offline: ask no hub; so does HF_HUB_OFFLINE=1. recorded: what is taken where the
    hub is not asked or does not answer: parameters, stored (the dtype of the files), layers, kv_heads, head_dim,
    context, source. Raises InputError where a folder holds no safetensors, a hub knows no such name, and where nothing
    can be known.
    """
    folder = os.path.join(os.path.expanduser(name), subfolder)
    if os.path.isdir(folder):
        return _of_folder(owner, name, Path(folder), load_config(owner, folder, True))
    reason = "no hub was asked"
    if not offline and not _is_hub_off():
        try:
            return _of_hub(owner, name, revision, subfolder)
        except InputError:
            raise
        except Exception as error:  # no network, a gate, a hub that is down: as many kinds as there are clients
            reason = f"the hub could not be asked: {first_line(error)}"
    if recorded is None:
        raise InputError(
            f"{owner}: the size of {name!r} must be in its files, on the hub or recorded, got none here ({reason}); go "
            "online, check the name, or write params beside it in the profile"
        )
    n_parameters = int(recorded["parameters"])
    return Size(
        name=name,
        revision=revision or "main",
        commit=None,
        n_parameters=n_parameters,
        n_bytes=int(n_parameters * BYTES[recorded["stored"]]),
        n_layers=recorded["layers"],
        n_kv_heads=recorded["kv_heads"],
        head_dim=recorded["head_dim"],
        context=recorded["context"],
        source=f"the profile's record ({recorded['source']}), as {reason}",
    )


def _is_hub_off() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _of_folder(owner: str, name: str, folder: Path, config: Any) -> Size:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(
            f"{owner}: {name!r} must hold its weights as safetensors to be counted, got no such file; save it "
            "anew with save_pretrained"
        )
    n_parameters = sum(math.prod(shape) for file in files for shape in _shapes(owner, file))
    n_bytes = sum(file.stat().st_size for file in files)
    return Size(name, "-", None, n_parameters, n_bytes, *decoder(config), source="its files")


def _of_hub(owner: str, name: str, revision: str | None, subfolder: str) -> Size:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi().model_info(name, revision=revision, files_metadata=True)
    except GatedRepoError:  # which is a kind of the next ones, and is there
        raise
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise InputError(
            f"{owner}: {name!r} must be a folder or a name that the hub knows, at a revision that it has, got "
            f"revision {revision or 'main'!r}; check both (it says: {first_line(error)})"
        ) from error
    inside = [file for file in info.siblings or () if os.path.dirname(file.rfilename) == subfolder]
    weights = [file for file in inside if file.rfilename.endswith(".safetensors")]
    if not weights or info.safetensors is None:
        raise ValueError(f"{name} has no safetensors that it counts")
    options = {} if revision is None else {"revision": revision}
    try:
        config = load_config(owner, name, False, subfolder=subfolder, **options)
    except InputError as error:  # behind a gate, or an adapter, which has none
        raise ValueError(f"{name} has no config.json that can be fetched") from error
    n_bytes = sum(file.size or 0 for file in weights)
    return Size(name, revision or "main", info.sha, info.safetensors.total, n_bytes, *decoder(config), source="the hub")


def decoder(config: Any) -> tuple[int, int, int, int | None]:
    """Of a configuration of transformers: layers, heads of keys and values, their size, and the most positions."""
    text = config.get_text_config(decoder=True)
    heads = text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    kv_heads = getattr(text, "num_key_value_heads", None) or heads
    return text.num_hidden_layers, kv_heads, size, getattr(text, "max_position_embeddings", None)


def _shapes(owner: str, file: Path) -> list[list[int]]:
    """The shapes of the tensors in a file of safetensors: eight bytes say how long the JSON is that names them."""
    try:
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        return [entry["shape"] for key, entry in header.items() if key != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError, MemoryError, OverflowError) as error:
        raise InputError(
            f"{owner}: {str(file)!r} must be safetensors, got a file without their header; copy it again"
        ) from error
