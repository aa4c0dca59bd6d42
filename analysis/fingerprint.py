"""A short hash of what the package computes and of the shipped weights, so that older results are not reused."""

import ast
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "proxyalign"
# What cannot change a decoded token or an optimum: the command line's dress, and the drawings.
IRRELEVANT = ("cli/", "plotting/")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def behaviour(source: str) -> str:
    """The code of a module without its comments, its layout and its docstrings: equal text, equal behaviour."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree)


def fingerprint(package: Path = PACKAGE) -> str:
    """Twelve hexadecimal digits over the behaviour of every module that matters and the shipped weights."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if not name.startswith(IRRELEVANT):
            digest.update(f"{name}\n{behaviour(path.read_text())}\n".encode())
    for path in sorted(package.rglob("*.safetensors")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
