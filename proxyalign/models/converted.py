"""A GGUF file of a package as a checkpoint that loads in seconds: converted by transformers once, and kept.

Reading a GGUF file, transformers unpacks every weight and builds the tokenizer anew, most of a minute for 262,144
tokens, at each start. The numbers that come of that are kept as they are, in float32: a block unpacks to products of
small whole numbers and a half-precision scale, which bfloat16 would round. So the first load, the ones after it
and transformers' own reading of the file all have the same weights to the bit.
"""

import hashlib
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, TextIO

from proxyalign.errors import InputError
from proxyalign.models.checkpoint import first_line, load_model, load_tokenizer
from proxyalign.models.gguf_package import GGUFPackage, check_reader
from proxyalign.models.kept import kept

_VERSION = 1  # of what this file makes of a GGUF file
_STEPS = ("joining its parts", "building the tokenizer", "unpacking the weights", "writing the checkpoint")


def converted(owner: str, package: GGUFPackage) -> Path:
    """The folder of a package's model as a checkpoint: config.json, safetensors in float32 and tokenizer.

    owner: who refuses, in messages. It is converted where the cache folder holds none of the same parts yet, made by
    the same release of transformers; meanwhile a bar on stderr shows how far it is.

    Raises InputError where a part is missing or damaged, where the file cannot be read, and where the cache folder
    cannot be written.
    """
    import transformers

    key = hashlib.sha256(f"{package.digest()} {transformers.__version__} {_VERSION}".encode()).hexdigest()
    return kept(owner, f"{package.model}-{key[:16]}", lambda folder: _convert(owner, package, folder))


def _convert(owner: str, package: GGUFPackage, folder: Path) -> None:
    """Fill the folder with the checkpoint, and nothing else."""
    import torch
    from safetensors import SafetensorError

    check_reader(owner, package.file_name)
    file = folder / package.file_name
    with _shown(f"converting {package.model}") as next_step:
        next_step()
        package.write(file)
        try:
            next_step()
            tokenizer = load_tokenizer(owner, str(folder), True, gguf_file=file.name)
            next_step()
            model = load_model(owner, str(folder), True, dtype=torch.float32, gguf_file=file.name)
        except InputError as error:
            raise InputError(
                f"{owner}: the GGUF file of model {package.model} must be one that transformers can read, got one that "
                f"it cannot; run pip install --upgrade gguf transformers (it says: {_reason(error)})"
            ) from error
        file.unlink()
        next_step()
        if package.splits_digits:
            _split_digits(tokenizer)
        _forget_format(model)
        tokenizer.save_pretrained(folder)
        try:
            model.save_pretrained(folder)
        except SafetensorError as error:  # as which a full disk comes out
            raise OSError(first_line(error)) from error


def _reason(error: InputError) -> str:
    """What the library said that the error came of, or the error itself."""
    return first_line(error.__cause__ if isinstance(error.__cause__, Exception) else error)


def _split_digits(tokenizer: Any) -> None:
    """Let a tokenizer with an alphabet of bytes read each digit by itself, as it did when its merges were learned.

    transformers passes over what a GGUF file says of that (tokenizer.ggml.pre, whose meanings are llama.cpp's
    src/llama-vocab.cpp: "smollm" is single digits, then GPT-2's pattern): blanks before a digit then come out in other
    tokens.
    """
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def _forget_format(model: Any) -> None:
    """Take away the marks of a quantised model, which transformers would not save: its weights are plain by now."""
    model.hf_quantizer = None
    model.config.__dict__.pop("quantization_config", None)


@contextmanager
def _shown(title: str) -> Iterator[Callable[[], None]]:
    """A bar of the steps on stderr, in place of transformers' own bars; yields what is called as each step begins."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from transformers.utils import logging

    said = TextColumn("{task.description}")
    columns = (SpinnerColumn(), said, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    steps = enumerate(_STEPS)
    had_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(title, total=len(_STEPS))

            def next_step() -> None:
                n_done, name = next(steps)
                bars.update(bar, completed=n_done, description=f"{title}: {name}")

            with redirect_stderr(_WithoutBars(sys.stderr)):
                yield next_step
    finally:
        if had_bars:
            logging.enable_progress_bar()


class _WithoutBars(io.TextIOBase):
    """A stream without the bars that are written to it: transformers' one for GGUF files cannot be switched off."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if not text.startswith("\r") and text.strip():
            self._stream.write(text)
        return len(text)
