"""Each notebook and its text twin hold the same cells, and no cell is longer than a screen."""

from pathlib import Path

import jupytext
import pytest

FOLDER = Path(__file__).parent.parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_is_a_notebook_and_each_has_a_twin():
    """Fails where a notebook is kept without the text that its changes are read in."""
    assert NOTEBOOKS
    assert [path.stem for path in NOTEBOOKS] == sorted(path.stem for path in FOLDER.glob("*.md"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_and_its_twin_have_the_same_cells(path):
    """Fails where one was edited and the other was not synchronised."""
    cells = [
        [(cell.cell_type, cell.source.strip()) for cell in jupytext.read(file).cells]
        for file in (path, path.with_suffix(".md"))
    ]
    assert cells[0] == cells[1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_cell_is_longer_than_a_screen(path):
    """Fails where a notebook grows code that belongs in the package, with a test."""
    assert all(len(cell.source.splitlines()) <= 30 for cell in jupytext.read(path).cells if cell.cell_type == "code")
