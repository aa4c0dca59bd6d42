"""A notebook with its stored outputs as a page: the cells as they stand, what they printed, and their pictures."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PICTURES = {"image/png": "png", "image/svg+xml": "svg"}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def page_of(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """The page, and its pictures by name.

    Raises ValueError for a notebook whose last run ended in an error, which is no tutorial.
    """
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for number, cell in enumerate(json.loads(notebook.read_text())["cells"]):
        source = _joined(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code" and source.strip():
            parts.append(f"```python\n{source}\n```")
            for k, output in enumerate(_together(cell["outputs"])):
                if output["output_type"] == "error":
                    raise ValueError(f"{notebook.name}: cell {number} must run, got {output['ename']}; run it again")
                shown, picture = _shown(output, f"{notebook.stem}_{number}_{k}")
                parts.append(shown)
                pictures |= picture
    return "\n\n".join(parts) + "\n", pictures


def title_of(notebook: Path) -> str:
    """Its first heading."""
    texts = (_joined(cell["source"]) for cell in json.loads(notebook.read_text())["cells"])
    return next(found[1] for text in texts if (found := _TITLE.search(text)))


def _together(outputs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The outputs, with what was printed in several pieces in one."""
    found: list[Mapping[str, Any]] = []
    for output in outputs:
        if found and output["output_type"] == found[-1]["output_type"] == "stream":
            found[-1] = {**output, "text": _joined(found[-1]["text"]) + _joined(output["text"])}
        else:
            found.append(output)
    return found


def _shown(output: Mapping[str, Any], name: str) -> tuple[str, dict[str, bytes]]:
    """One output in Markdown: a picture, or HTML as it stands, or plain text."""
    if output["output_type"] == "stream":
        return _plain(output["text"]), {}
    data = output["data"]
    for kind, ending in _PICTURES.items():
        if kind in data:
            content = _joined(data[kind])
            picture = base64.b64decode(content) if ending == "png" else content.encode()
            said = _joined(data.get("text/plain", "a figure"))
            return f"![{said}]({name}.{ending})", {f"{name}.{ending}": picture}
    if "text/html" in data:
        html = "\n".join(line for line in _joined(data["text/html"]).splitlines() if line.strip())
        return f'<div class="output">\n{html}\n</div>', {}
    return _plain(data.get("text/plain", "")), {}


def _plain(text: str | Sequence[str]) -> str:
    return f"```text\n{_COLOURS.sub('', _joined(text)).rstrip()}\n```"


def _joined(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
