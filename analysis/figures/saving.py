"""What the figure scripts share: a figure saved as vector PDF and as PNG, with its provenance beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxyalign.files import sha256, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: "Figure", out: Path, record: Mapping[str, Any]) -> None:
    """Write out (.pdf), the same name as .png, and .json with where both come from; equal inputs give equal bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    image = out.with_suffix(".png")
    figure.savefig(out, metadata={"CreationDate": None, "ModDate": None})
    figure.savefig(image, dpi=200)
    files = [{"file": path.as_posix(), "sha256": sha256(path)} for path in (out, image)]
    write_json(out.with_suffix(".json"), {"figure": files, **record})
