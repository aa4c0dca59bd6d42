"""Where a figure or a number comes from: result files with their hashes, the commit, the profile, package versions."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PACKAGES = ("proxyalign", "matplotlib", "numba", "numpy", "polars", "snakemake", "torch", "transformers")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def commit() -> dict[str, Any]:
    """The commit that is checked out, and whether the package or the analysis differ from it.

    Both are None where this is no git checkout (an unpacked archive).
    """
    try:
        head = _git("rev-parse", "HEAD").strip()
        changed = bool(_git("status", "--porcelain", "--", "proxyalign", "analysis").strip())
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "changed_since": None}
    return {"commit": head, "changed_since": changed}


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def describe(script: str, sources: Iterable[Path], profile: Mapping[str, Any]) -> dict[str, Any]:
    """The record that is kept beside a product: script, sources, profile, commit and versions.

    Raises FileNotFoundError, which stops the build, where a source is missing.
    """
    return {
        "script": script,
        "sources": [{"file": source.as_posix(), "sha256": sha256(source)} for source in sources],
        "profile": dict(profile),
        **commit(),
        "versions": versions(),
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON, folder included; NaN and infinity are refused."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
