"""Which code and which models made a result, so that two results can be told apart later."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import proxyalign
from proxyalign.files import sha256
from proxyalign.tasks.files import VARIABLE

if TYPE_CHECKING:
    from proxyalign.models import ModelPair
    from proxyalign.tasks import Task

_PROBES = 64  # leading values read from each weight tensor; any training step changes some of them


@cache
def commit(*others: Path) -> str | None:
    """The git commit of the running package, with "-dirty" where it differs from that; None outside a checkout.

    others: folders of the checkout that count as the package does. What a run itself may write there does not.
    """
    try:
        _git("ls-files", "--error-unmatch", "__init__.py")  # else the commit would be of a project around the package
        changes = _git("status", "--porcelain", "--", ".", *map(str, others))
        return _git("rev-parse", "HEAD").strip() + ("-dirty" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    folder = Path(proxyalign.__file__).parent
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, check=True, text=True).stdout


def surroundings(packages: Sequence[str]) -> dict[str, Any]:
    """The commit, the machine and the versions of these packages (None for one that is missing), as JSON values."""
    return {
        "commit": commit(),
        "machine": {"processor": platform.machine(), "system": platform.system(), "python": platform.python_version()},
        "versions": versions(packages),
    }


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """The versions of these packages, None for one that is missing."""
    found: dict[str, str | None] = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def models_digest(pair: "ModelPair") -> str:
    """A SHA-256 over names, shapes and leading values of the models' weights: other weights, another digest.

    It reads 64 values of each tensor, so that it costs no more for a large model than for a small one.
    """
    digest = hashlib.sha256()
    for model in filter(None, (pair.base, pair.proxy, pair.reference)):
        for name, weight in model.named_parameters():
            values = weight.detach().flatten()[:_PROBES].float().cpu().numpy()
            digest.update(f"{name} {tuple(weight.shape)}".encode() + values.tobytes())
    return digest.hexdigest()


def data_editions(task: "Task", data: str | Path | None) -> dict[str, Any] | None:
    """How many of a task's files are of an edition that it knows, and the SHA-256 of each that is of another.

    data: their folder, by default what PROXYALIGN_DATA names. All files beside those that the task knows count, of the
    same kinds, since a part may lie there under another name. As {"n_known": 2, "others": {"gsm8k/test.jsonl": "..."}};
    None for a task that knows no file, and where there is no folder.
    """
    folder = Path(data if data is not None else os.environ.get(VARIABLE, ""))
    if not task.checksums or not folder.is_dir():
        return None
    kinds = {Path(name).suffix for name in task.checksums}
    beside = {path for name in task.checksums for path in (folder / name).parent.glob("*") if path.suffix in kinds}
    found = {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(beside) if path.is_file()}
    others = {name: digest for name, digest in found.items() if digest not in task.checksums.values()}
    return {"n_known": len(found) - len(others), "others": others}
