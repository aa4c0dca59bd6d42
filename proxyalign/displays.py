"""What objects look like where a notebook shows them: a name, a table of what is known, and short lists in words."""

import html
from collections.abc import Mapping, Sequence


def as_card(title: str, facts: Mapping[str, str], below: str = "") -> str:
    """HTML of an object: its name, and one line for each fact; all of it is escaped, `below` is HTML already."""
    left = "style='text-align:left'"
    lines = "".join(
        f"<tr><th {left}>{html.escape(name)}</th><td {left}>{html.escape(fact)}</td></tr>"
        for name, fact in facts.items()
    )
    return f"<div><strong>{html.escape(title)}</strong><table><tbody>{lines}</tbody></table>{below}</div>"


def as_line(title: str, facts: Mapping[str, str]) -> str:
    """The same in one line of plain text, as Python writes what is no expression."""
    return f"<{title}: {'; '.join(f'{name} {fact}' for name, fact in facts.items())}>"


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """A table of texts in plain text, its columns side by side."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
