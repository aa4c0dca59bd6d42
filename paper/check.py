"""What must hold of the paper before it is built, and of the build's log after: `make paper` runs both.

    python paper/check.py                       sources, records and generated files
    python paper/check.py paper/build/main.log  the build

Every number comes from a generated file; each generated file is the one that its record in `paper/generated` describes,
made of the recorded results as they lie here; so a number that was changed by hand, in a table or in a record, stops
the build. The standard library is enough, so that a clone with TeX and any Python 3 can build.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PAPER = Path(__file__).resolve().parent
PROSE = ("main.tex", "algorithm.tex", "engine.tex", "evidence.tex")  # no digit is typed here
PROOFS = "theory.tex"  # and here only in formulas, which are definitions, proofs and examples
MOST_OVERFULL = 9
DEFINITIONS = {"Confidence"}  # macros of main.tex that stand for a number
NAMES = ("SmolLM2-135M", "SmolLM2", "Gemma 3 270M", "GSM8K", "float64", "float32", "bfloat16", "IFEval")
TYPED = {"0", "1", "2"}  # of 0-1 knapsacks, halves and squares
WITHOUT_PROSE = re.compile(
    r"\\(?:label|ref|eqref|input|from|includegraphics|cite\w*|bibliography\w*|begin|end|setcounter|addlinespace)\*?(?:\[[^]]*\])*(?:\{[^{}]*\})*"
)
MATHEMATICS = re.compile(
    r"\$[^$]*\$|\\\[.*?\\\]|\\begin\{(equation\*?|align\*?)\}.*?\\end\{\1\}",
    re.DOTALL,
)
FIELDS = {
    "article": {"author", "title", "journal", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "book": {"author", "title", "publisher", "year"},
}


def prose(text: str, formulas: bool) -> str:
    """The text after the preamble without comments, references, names and powers of ten; lines keep their numbers.

    formulas: whether they are left out as well.
    """
    head, found, body = text.partition("\\begin{document}")
    text = _lines(head) + body if found else text
    text = re.sub(r"(?<!\\)%.*", "", text)
    if formulas:
        text = MATHEMATICS.sub(lambda match: _lines(match[0]), text)
    for name in NAMES:
        text = text.replace(name, "")
    text = re.sub(r"Theorem [\d.]*\d", "", text)  # of others
    return WITHOUT_PROSE.sub(lambda match: _lines(match[0]), text).replace("10^{", "^{")


def _lines(text: str) -> str:
    return "\n" * text.count("\n")


def typed_numbers(text: str, formulas: bool = False) -> Iterator[tuple[int, str]]:
    """(line, number) for each number in the text that no macro stands for. formulas: whether those may have some."""
    for match in re.finditer(r"\\newcommand\*?\{\\(\w+)\}\{[^a-zA-Z\\{}]*\d", text):
        if match[1] not in DEFINITIONS:
            yield text.count("\n", 0, match.start()) + 1, match[1]
    for number, line in enumerate(prose(text, formulas).splitlines(), start=1):
        for match in re.finditer(r"\d+(?:(?:\\,|\.)\d+)*", line):
            if match[0] not in TYPED:
                yield number, match[0]


def changed(root: Path) -> Iterator[str]:
    """A sentence for each generated file, figure or record that is not the one that a provenance record describes.

    root: the checkout. Results that a profile makes lie under results/ and are not kept: those are not looked at.
    """
    folder = root / "paper" / "generated"
    records = {path: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    made = {
        path: [(folder / one["file"], one["sha256"]) for one in record["generated"]] for path, record in records.items()
    }
    for text in (root / "paper" / name for name in PROSE):
        for name in re.findall(r"\\includegraphics[^{]*\{\.\./figures/(\w+)\.pdf\}", text.read_text()):
            path = root / "figures" / f"{name}.json"
            records[path] = json.loads(path.read_text())
            made[path] = [(path.with_name(Path(one["file"]).name), one["sha256"]) for one in records[path]["figure"]]
    described: set[Path] = set()
    for path, record in records.items():
        kept = [
            (root / one["file"], one["sha256"]) for one in record["sources"] if not one["file"].startswith("results/")
        ]
        for file, digest in made[path] + kept:
            described.add(file)
            if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
                name, record_name = file.relative_to(root), path.relative_to(root)
                yield f"paper: {name} must be what {record_name} describes, got another file; make it again"
    for file in sorted(set(folder.glob("*.tex")) - described):
        yield f"paper: {file.relative_to(root)} must be described by a record beside it, got none; generate it"


def bibliography(texts: str, entries: str) -> Iterator[str]:
    """A sentence for each entry that is not cited or lacks a field that its kind has, and each citation of none."""
    cited = {
        key.strip() for keys in re.findall(r"\\cite\w*\*?(?:\[[^]]*\])*\{([^}]*)\}", texts) for key in keys.split(",")
    }
    known: dict[str, set[str]] = {}
    for kind, key, body in re.findall(r"@(\w+)\{(\w+),(.*?)\n\}", entries, re.DOTALL):
        if key in known:
            yield f"paper: references.bib must have {key} once, got it again; remove one"
        known[key] = FIELDS[kind] - set(re.findall(r"^\s*(\w+)\s*=", body, re.MULTILINE))
    for key in sorted(cited ^ known.keys()):
        yield f"paper: references.bib and the citations must be the same, got {key} in one of them; cite or remove it"
    for key, missing in known.items():
        if missing:
            yield f"paper: {key} must have {' and '.join(sorted(missing))}, got no such field; complete the entry"


def sources(root: Path) -> Iterator[str]:
    """A sentence for whatever stops a build, before it begins."""
    yield from changed(root)
    paper = root / "paper"
    texts = {name: (paper / name).read_text() for name in (*PROSE, PROOFS)}
    for name, text in texts.items():
        for line, number in typed_numbers(text, formulas=name == PROOFS):
            yield f"paper: {name}:{line} must take its numbers from generated files, got {number}; write a macro for it"
    yield from bibliography("".join(texts.values()), (paper / "references.bib").read_text())


def log(text: str) -> Iterator[str]:
    """A sentence for what a build's log complains of: undefined references, and more overfull boxes than allowed."""
    whole = text.replace("\n", "")  # TeX breaks its lines at 79 signs
    undefined = set(re.findall(r"(?:[Rr]eference|Citation) [`']([^']+)' on page \d+ undefined", whole))
    if undefined:
        yield f"paper: every reference must be defined, got {', '.join(sorted(undefined))}; label or cite what exists"
    n_overfull = len(re.findall(r"^Overfull \\[hv]box", text, re.MULTILINE))
    if n_overfull > MOST_OVERFULL:
        yield f"paper: at most {MOST_OVERFULL} boxes may be overfull, got {n_overfull}; see the log"


def main() -> int:
    """Print each fault; 1 where there is one."""
    faults = list(log(Path(sys.argv[1]).read_text(errors="replace")) if len(sys.argv) > 1 else sources(PAPER.parent))
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
