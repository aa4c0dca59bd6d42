"""The record that is kept beside a product: result files with their hashes, commit, profile and package versions."""

import argparse
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from proxyalign.evaluation import provenance
from proxyalign.files import sha256

ROOT = Path(__file__).parent.parent
PACKAGES = ("proxyalign", "matplotlib", "numba", "numpy", "polars", "snakemake", "torch", "transformers")


def commit() -> dict[str, Any]:
    """The commit that is checked out, and whether the package or the analysis differ from it.

    Both are None where this is no git checkout (an unpacked archive).
    """
    found = provenance.commit(ROOT / "analysis")
    if found is None:
        return {"commit": None, "changed_since": None}
    head = found.removesuffix("-dirty")
    return {"commit": head, "changed_since": found != head}


def versions() -> dict[str, str | None]:
    """The versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | provenance.versions(PACKAGES)


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


def started(script: str, purpose: str | None) -> tuple[list[Path], Path, dict[str, Any]]:
    """What a script that turns result files into a product was asked for: sources, product, and the record to keep.

    script, purpose: its `__file__` and `__doc__`. Raises FileNotFoundError where a source is missing.
    """
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--sources", type=Path, nargs="+", required=True, help="result files, in the script's order")
    parser.add_argument("--profile", required=True, help="the profile, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="the product; what belongs to it goes beside it")
    arguments = parser.parse_args()
    name = Path(script).resolve().relative_to(ROOT.resolve()).as_posix()
    return arguments.sources, arguments.out, describe(name, arguments.sources, json.loads(arguments.profile))
