"""What the figure scripts share: a figure saved as PDF, SVG and PNG, with its provenance and its data beside it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxyalign.files import sha256, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: "Figure", out: Path, record: Mapping[str, Any], data: Any) -> None:
    """Write out (.pdf), the same name as .png and .svg, and .json with where they come from and what was drawn.

    data: the numbers that the figure shows, as JSON has them. Equal inputs give equal bytes.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    image, drawing = out.with_suffix(".png"), out.with_suffix(".svg")
    figure.savefig(out, metadata={"CreationDate": None, "ModDate": None})
    figure.savefig(image, dpi=200)
    figure.savefig(drawing, metadata={"Date": None})
    files = [{"file": path.name, "sha256": sha256(path)} for path in (out, image, drawing)]
    write_json(out.with_suffix(".json"), {"figure": files, **record, "data": data})


def chosen(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """The columns of the rows that a figure reads, where they are there."""
    return [{name: row[name] for name in names if name in row} for row in rows]
