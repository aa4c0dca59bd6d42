"""Reading a checkpoint: all of it or none, and what is wrong with its files told in one sentence."""

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import Any

import torch

from proxyalign.errors import InputError

_SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json")
_POINTER = b"version https://git-lfs"  # with which the stand-in for a large file begins
_NAMED = 3  # weights that a message names


def load_tokenizer(owner: str, source: str, offline: bool, **options: Any) -> Any:
    """The tokenizer of a folder or a hub name, as AutoTokenizer reads it.

    owner: who refuses, in messages. options: for `from_pretrained`, where trust_remote_code is off. Raises InputError
    where there is none.
    """
    tokenizer = _read("AutoTokenizer", owner, source, offline, **options)
    # Without its files some kinds of tokenizer are made with a vocabulary of special tokens and a blank alone.
    if len(set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)) <= 1:
        raise InputError(
            f"{owner}: {source!r} must hold a tokenizer, got one without words, as comes of a missing file; copy "
            "tokenizer.json, or the vocabulary that the tokenizer is made of, beside config.json"
        )
    return tokenizer


def load_config(owner: str, source: str, offline: bool, **options: Any) -> Any:
    """The configuration of a folder or a hub name, as AutoConfig reads it; arguments and errors as `load_tokenizer`."""
    return _read("AutoConfig", owner, source, offline, **options)


def load_model(owner: str, source: str, offline: bool, **options: Any) -> Any:
    """The causal language model of a folder or a hub name, as AutoModelForCausalLM reads it, every weight from there.

    owner: who refuses, in messages. options: for `from_pretrained`, where trust_remote_code is off. Raises InputError
    where there is none, where it lacks a weight or has it in another shape, which transformers would fill with random
    numbers, and where it has weights that belong into the model and would be dropped: of layers that config.json does
    not count, and of modules that the model has without them, such as biases and scales.
    """
    with _without_reports():
        model, report = _read(
            "AutoModelForCausalLM", owner, source, offline,
            output_loading_info=True, ignore_mismatched_sizes=True, **options,
        )  # fmt: skip
    _check_weights(f"{owner}: {source!r}", model, report)
    return model


def _read(kind: str, owner: str, source: str, offline: bool, **options: Any) -> Any:
    """`transformers.<kind>.from_pretrained(source)`, its many ways of not finding something told in one sentence."""
    import transformers

    is_path = source.startswith((".", "/", "~")) or source.count("/") > 1 or os.path.exists(source)
    if is_path:
        source = os.path.expanduser(source)
        subfolder = options.get("subfolder")
        _check_folder(owner, os.path.join(source, subfolder) if subfolder else source)
        if options.get("revision") is not None:
            raise InputError(
                f"{owner}: revision must be left out for a folder, which has none, got {options['revision']!r} for "
                f"{source!r}; drop it"
            )
    try:
        return getattr(transformers, kind).from_pretrained(
            source, local_files_only=offline, **{"trust_remote_code": False, **options}
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # each library that reads a file has its own, and some have none but Exception
        if "trust_remote_code" in str(error):
            raise InputError(
                f"{owner}: trust_remote_code must be True for {source!r}, which brings code of its own, got False; "
                "read that code, and pass True if you trust it"
            ) from error
        where = "on this machine (offline: no hub was asked)" if offline else "here or on the hub"
        raise InputError(
            f"{owner}: {source!r} holds no checkpoint that can be read {where}; check the name, or pass a folder "
            f"with config.json, weights and tokenizer ({kind} says: {first_line(error)})"
        ) from error


def first_line(error: Exception) -> str:
    """The beginning of what an error says, with its kind where it says little else."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    said = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return said if isinstance(error, OSError | ImportError) and said else f"{type(error).__name__}: {said}".rstrip(": ")


def _check_folder(owner: str, source: str) -> None:
    """Raise InputError unless `source` is a folder whose files can be read and are what their names say."""
    if not os.path.isdir(source):
        raise InputError(f"{owner}: {source!r} is not a folder; pass the folder of a checkpoint or a hub name")
    folder = Path(source)
    _check_permission(owner, folder, os.R_OK | os.X_OK)
    files = sorted(path for path in folder.iterdir() if os.path.isfile(path))
    for path in files:
        _check_permission(owner, path, os.R_OK)
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise InputError(
                    f"{owner}: a checkpoint must hold the files themselves, got a Git LFS pointer for {str(path)!r}; "
                    "run git lfs pull in its folder"
                )
        if path.name in _SETTINGS or path.name.endswith(".index.json"):
            _check_json(owner, path)
    if folder / "adapter_config.json" in files and util.find_spec("peft") is None:
        raise InputError(
            f"{owner}: {source!r} holds an adapter, which peft must be installed to read, got none; run pip install "
            "peft, or merge the adapter into its model"
        )


def _check_permission(owner: str, path: Path, mode: int) -> None:
    if not os.access(path, mode):
        raise InputError(
            f"{owner}: a checkpoint's folder and files must be readable, got no permission for {str(path)!r}; give it "
            "with chmod"
        )


def _check_json(owner: str, path: Path) -> None:
    """Raise InputError for settings that are no JSON object; transformers passes over some of these in silence."""
    try:
        settings = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(
            f"{owner}: {str(path)!r} must be JSON, got a file that is not ({error}); copy it again"
        ) from error
    if not isinstance(settings, dict):
        raise InputError(
            f"{owner}: {str(path)!r} must hold a JSON object, got {type(settings).__name__}; copy it again"
        )


@contextmanager
def _without_reports() -> Iterator[None]:
    """Keep transformers' tables of missing and unexpected weights back, which are judged here."""

    def is_other(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return "LOAD REPORT" not in text or "CONVERSION" in text  # which its error refers to

    logger = logging.getLogger("transformers.modeling_utils")
    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def _check_weights(where: str, model: Any, report: dict[str, Any]) -> None:
    """Raise InputError unless the checkpoint's weights are the model's."""
    kind = type(model).__name__
    if report["missing_keys"]:
        raise InputError(
            f"{where} must hold every weight of its {kind}, got none for {_named(report['missing_keys'])}; copy the "
            "checkpoint again, or the config.json that was saved with it"
        )
    if report["mismatched_keys"]:
        name, got, wanted = min(report["mismatched_keys"])
        raise InputError(
            f"{where} must hold weights of the shapes that its config.json asks for, got {tuple(got)} in place of "
            f"{tuple(wanted)} for {name} ({len(report['mismatched_keys'])} such weights); copy the config.json that "
            "was saved with them"
        )
    dropped = _dropped(model, report["unexpected_keys"])
    if dropped:
        raise InputError(
            f"{where} must hold no weights beyond those that its config.json asks for, got {_named(dropped)}, which "
            f"{kind} would leave out; copy the config.json that was saved with them"
        )


def _dropped(model: Any, unexpected: Iterable[str]) -> list[str]:
    """The weights without which the model computes something else; other heads, buffers of old releases are none."""
    patterns = {_pattern(name) for name in model.state_dict()}
    # What a quantiser packs beside a weight, and what it makes of that, is its own affair.
    own = getattr(model, "hf_quantizer", None) is None
    lone = {name for name, part in model.named_modules() if own and not len(part._modules) and len(part._parameters)}

    def belongs(key: str) -> bool:
        parts = key.split(".")
        inside = any(".".join(parts[:n]) in lone for n in range(1, len(parts)))
        return inside or _pattern(key) in patterns

    prefix = getattr(model, "base_model_prefix", "")
    return [key for key in unexpected if belongs(key) or belongs(f"{prefix}.{key}")]


def _pattern(name: str) -> str:
    """The name with its numbers left open, as those of one module in all layers have it."""
    return re.sub(r"(?<=\.)\d+(?=\.)", "*", name)


def _named(names: Iterable[str]) -> str:
    ordered = sorted(names)
    rest = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(ordered[:_NAMED]) + rest
