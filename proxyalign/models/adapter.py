"""A model that is kept as an adapter (PEFT): the checkpoint that it belongs to, and both made into one model."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxyalign.errors import InputError
from proxyalign.models.checkpoint import first_line, load_model

_SETTINGS = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


@dataclass(frozen=True)
class Adapter:
    """What changes the weights of another checkpoint.

    source: its folder or hub name, as it was asked for. folder: where its files lie on this machine. parent,
    parent_revision: the checkpoint that it was trained on. has_tokenizer: whether it brings its own.
    """

    source: str
    folder: Path
    parent: str
    parent_revision: str | None
    has_tokenizer: bool


def find_adapter(owner: str, source: str, offline: bool, *, revision: str | None, subfolder: str) -> Adapter | None:
    """The adapter that a folder or a hub name holds; None for a whole model, and where there is nothing to be found.

    owner: who refuses, in messages. An adapter's files are small, and are fetched here. Raises InputError for one
    without weights or the name of its checkpoint, for one that puts tokens before the text in place of changing
    weights, and where peft is missing.
    """
    from transformers.utils import cached_file

    def fetched(name: str) -> str | None:
        found: str | None = cached_file(
            os.path.expanduser(source), name, revision=revision, subfolder=subfolder, local_files_only=offline,
            _raise_exceptions_for_gated_repo=False, _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )  # fmt: skip
        return found

    try:
        settings = fetched(_SETTINGS)
        if settings is None or fetched("config.json") is not None:
            return None
    except (OSError, ValueError):  # no such repository: who reads it says so, in a sentence
        return None
    peft, folder = _peft(owner, source), Path(settings).parent
    try:
        config = peft.PeftConfig.from_pretrained(str(folder))
    except Exception as error:  # a file can be wrong in as many ways as there are kinds
        raise InputError(
            f"{owner}: {source!r} must hold an adapter that peft can read, got one that it cannot; copy it again, or "
            f"upgrade peft (it says: {first_line(error)})"
        ) from error
    if config.is_prompt_learning:
        raise InputError(
            f"{owner}: an adapter must change weights, as LoRA does, got {config.peft_type.value} in {source!r}, which "
            "writes before the text; take another adapter"
        )
    if not config.base_model_name_or_path:
        raise InputError(
            f"{owner}: {source!r} must name the model that it was trained on, got no base_model_name_or_path in "
            f"{_SETTINGS}; write it there"
        )
    if not any(fetched(name) for name in _WEIGHTS):
        raise InputError(
            f"{owner}: {source!r} must hold an adapter's weights, got no {_WEIGHTS[0]}; copy the adapter again"
        )
    has_tokenizer = fetched("tokenizer_config.json") is not None
    return Adapter(source, folder, config.base_model_name_or_path, config.revision, has_tokenizer)


def load_adapted(owner: str, adapter: Adapter, offline: bool, *, trust_remote_code: bool, **weights: Any) -> Any:
    """The adapter's model: one of transformers with the change added to its weights, a wrapper where they are packed.

    weights: for `from_pretrained` of its checkpoint. Raises InputError where that cannot be read, does not fit the
    adapter, or the adapter lacks a weight.
    """
    named = {} if adapter.parent_revision is None else {"revision": adapter.parent_revision}
    parent = load_model(owner, adapter.parent, offline, trust_remote_code=trust_remote_code, **named, **weights)
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            model = _peft(owner, adapter.source).PeftModel.from_pretrained(
                parent, str(adapter.folder), torch_device="cpu", autocast_adapter_dtype=False
            )
    except Exception as error:  # as above, and shapes and modules that the model does not have
        raise InputError(
            f"{owner}: the adapter {adapter.source!r} must fit its model {adapter.parent!r}, got one that does not; "
            f"take the model that it was trained on (peft says: {first_line(error)})"
        ) from error
    if any("missing adapter keys" in str(one.message) for one in heard):
        raise InputError(
            f"{owner}: the adapter {adapter.source!r} must hold every weight that its {_SETTINGS} asks for, got none "
            "for some of them; copy the adapter again"
        )
    # Packed weights would be unpacked, changed and rounded anew, so there the change stays beside them.
    return model if getattr(parent, "hf_quantizer", None) is not None else model.merge_and_unload()


def _peft(owner: str, source: str) -> Any:
    try:
        import peft
    except ImportError as error:
        raise InputError(
            f"{owner}: {source!r} holds an adapter, which peft must be installed to read, got none; run pip install "
            "peft, or merge the adapter into its model"
        ) from error
    return peft
