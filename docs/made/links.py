"""Links of texts that were written for the repository, turned into links of the site."""

import posixpath
import re
from collections.abc import Collection, Mapping
from pathlib import Path

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")


def moved(
    text: str, source: str, page: str, pages: Mapping[str, str], root: Path, beside: Collection[str] = ()
) -> tuple[str, dict[str, Path]]:
    """The text with links for its new place, and the files that have to come along, by their place in the site.

    source: the text's own path in the repository; page: its path in the site. pages: where other texts went. A file
    that is no page keeps its path, without the leading `analysis/`. beside: files that move with the text. Raises
    ValueError for a link that leads nowhere.
    """
    files: dict[str, Path] = {}

    def place(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[1]))
        if target in beside:
            return found[1]
        if target in pages:
            there = pages[target]
        elif (root / target).is_file():
            there = target.removeprefix("analysis/")
            files[there] = root / target
        else:
            raise ValueError(f"{source}: a link must lead to a file of the repository, got {found[1]!r}; correct it")
        return posixpath.relpath(there, posixpath.dirname(page) or ".")

    return _LINK.sub(place, text), files
