"""What objects look like where a notebook shows them: a name, a table of what is known, and short lists in words."""

import html
import re
import unicodedata
from collections.abc import Mapping, Sequence

_HIDDEN_OR_NOT = re.compile(r"[^\n\t -~]")  # to be looked up; all else is seen
_SHOWN_ANYWAY = "\n\t\u200c\u200d"  # what texts are laid out and emoji and some scripts are joined with


def visible(text: str, form: str = "⟨{}⟩") -> str:
    """A text as HTML, in which characters that would not be seen, or would turn others round, are told by their number.

    These are Unicode's control and format characters, separators of lines and halves of surrogate pairs, but for line
    feeds, tabs and the joiners of emoji and of some scripts. form: HTML, what stands for one of them, {} its number.
    `page.js` and `view.js` do the same to what they show.
    """
    return _HIDDEN_OR_NOT.sub(lambda found: _told(found[0], form), html.escape(text))


def _told(letter: str, form: str) -> str:
    is_hidden = unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") and letter not in _SHOWN_ANYWAY
    return form.format(f"{ord(letter):04X}") if is_hidden else letter


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
