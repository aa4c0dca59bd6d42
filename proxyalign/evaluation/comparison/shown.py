"""Tables of texts for a notebook, rows of values for a data frame, and numbers as tables write them."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from proxyalign.errors import InputError


def percent(share: float | None) -> str:
    """A share in percent, with one decimal place; a dash where it is not known."""
    return "-" if share is None else f"{100 * share:.1f} %"


def points(ends: Sequence[float] | None, sign: str = "") -> str:
    """An interval of shares in percent, in brackets; a dash where it is not known. sign: "+" to write signs."""
    return "-" if ends is None else "[" + ", ".join(f"{100 * end:{sign}.1f}" for end in ends) + "]"


def as_html(rows: Sequence[Sequence[str]], notes: Iterable[str] = ()) -> str:
    """A table of texts, its first row the names of its columns, and what is to be known of it."""
    told = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in notes)
    if not rows:
        return told
    head, *body = (
        "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"
        for row, tag in zip(rows, ["th"] + ["td"] * len(rows), strict=False)
    )
    return f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>{told}"


def as_frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A polars DataFrame of these rows; InputError where polars is not installed."""
    try:
        import polars
    except ModuleNotFoundError:
        raise InputError(
            "to_polars: polars must be installed, got none; run pip install 'proxyalign[analysis]'"
        ) from None
    return polars.DataFrame([dict(row) for row in rows], infer_schema_length=None)
