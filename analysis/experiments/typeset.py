"""Typeset the paper with the figures and numbers of a reproduction in place of those that the repository keeps."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from analysis.product import ROOT


def laid_out(folder: Path, numbers: Path, figures: Path) -> Path:
    """Copy the paper's sources into a folder, with these numbers and figures; its own folder within."""
    paper = folder / "paper"
    paper.mkdir()
    for source in [*(ROOT / "paper").glob("*.tex"), *(ROOT / "paper").glob("*.bib")]:
        shutil.copy(source, paper)
    shutil.copytree(ROOT / "paper" / "generated", paper / "generated")
    shutil.copytree(numbers, paper / "generated", dirs_exist_ok=True)
    shutil.copytree(ROOT / "figures", folder / "figures")
    shutil.copytree(figures, folder / "figures", dirs_exist_ok=True)
    return paper


def main() -> int:
    """Lay the paper out, let TeX set it, and keep the PDF; TeX's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=Path, required=True, help="the folder of the generated numbers and tables")
    parser.add_argument("--figures", type=Path, required=True, help="the folder of the figures")
    parser.add_argument("--out", type=Path, required=True, help="the PDF")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paper = laid_out(Path(folder), arguments.numbers, arguments.figures)
        code = subprocess.run([ROOT / "paper" / "typeset.sh"], cwd=paper, check=False).returncode
        if not code:
            shutil.copy(paper / "build" / "main.pdf", arguments.out)
    return code


if __name__ == "__main__":
    sys.exit(main())
