"""The \\boxed{...} in which mathematical replies set their answer: which are finished, and whether the last one is."""

import re
from typing import NamedTuple

_MARK = re.compile(r"(?P<box>\\boxed|\\fbox)\s*\{|\\.|[{}]", re.DOTALL)  # an escaped brace is no brace


class Box(NamedTuple):
    """One box: where its command begins, where its last brace ends (None where it never does), and what it holds."""

    begins: int
    ends: int | None
    content: str


def boxes(text: str) -> list[Box]:
    """The boxes of `text` in the order in which they begin, a box within a box after that one.

    Braces are matched, whatever stands between them; a box whose brace never closes has `ends` None and holds the rest.
    """
    found: list[Box] = []
    open_marks: list[tuple[re.Match[str], bool]] = []
    for mark in _MARK.finditer(text):
        if mark["box"] or mark[0] == "{":
            open_marks.append((mark, bool(mark["box"])))
        elif mark[0] == "}" and open_marks:
            opening, is_box = open_marks.pop()
            if is_box:
                found.append(Box(opening.start(), mark.end(), text[opening.end() : mark.start()]))
    found += [Box(mark.start(), None, text[mark.end() :]) for mark, is_box in open_marks if is_box]
    return sorted(found, key=lambda box: box.begins)
