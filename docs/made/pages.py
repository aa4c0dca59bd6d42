"""All pages of the site as plain Markdown and the files beside them, so that any generator can take them."""

import shutil
from pathlib import Path
from typing import Any

from made import facts, links, reference, tutorials

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = ROOT / "docs" / "pages"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TABLES = {"analysis/rules.md": "rules.md", "analysis/peers.md": "peers.md"}  # kept beside what makes them
PLACES = {
    **TABLES,
    "README.md": "index.md",
    **{f"notebooks/{one.stem}{end}": f"tutorials/{one.stem}.md" for one in NOTEBOOKS for end in (".ipynb", ".md")},
}
RECORDS = ("lab_seed2/runs.json", "decoding_speed/lab.json", "real_pair.json", "solver_times/rows.json")


def write(folder: Path) -> list[dict[str, Any]]:
    """Write all into `folder`, which is emptied first, and return the navigation as MkDocs has it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(WRITTEN, folder)
    texts = {f"reference/{name}.md": text for name, text in reference.pages()}
    texts["commands.md"] = reference.commands()
    texts["choosing.md"] = facts.filled((WRITTEN / "choosing.md").read_text(), facts.facts())
    brought = {f"recorded/{name}": (facts.RECORDED / name).read_bytes() for name in RECORDS}
    for source, place, text, pictures in _from_the_checkout():
        beside = {str(Path(source).parent / name) for name in pictures}
        texts[place], along = links.moved(text, source, place, PLACES, ROOT, beside)
        brought |= {name: path.read_bytes() for name, path in along.items()}
        brought |= {str(Path(place).parent / name): content for name, content in pictures.items()}
    for place, content in (brought | {place: text.encode() for place, text in texts.items()}).items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(content)
    return _navigation()


def _from_the_checkout() -> list[tuple[str, str, str, dict[str, bytes]]]:
    """Texts that are kept elsewhere: where, their place in the site, and the pictures that come out of them."""
    found: list[tuple[str, str, str, dict[str, bytes]]] = []
    for source, place in TABLES.items():
        found.append((source, place, (ROOT / source).read_text(), {}))
    for notebook in NOTEBOOKS:
        text, pictures = tutorials.page_of(notebook)
        found.append((f"notebooks/{notebook.name}", f"tutorials/{notebook.stem}.md", text, pictures))
    return found


def _navigation() -> list[dict[str, Any]]:
    how_to = [f"how-to/{name}.md" for name in ("rule", "task", "pair", "backend")]
    return [
        {"Start": "index.md"},
        {"Tutorials": [{tutorials.title_of(one): f"tutorials/{one.stem}.md"} for one in NOTEBOOKS]},
        {"How to": how_to},
        {"Rules": [{"Choose a rule": "choosing.md"}, {"All rules": "rules.md"}]},
        {"Peers": "peers.md"},
        {"Known limits": "limits.md"},
        {"Commands": "commands.md"},
        {"Reference": [{title: f"reference/{name}.md"} for name, (title, _) in reference.PAGES.items()]},
    ]
