"""The report as one HTML file: tables, figures and commands as they stand, and the questions packed for its script."""

import base64
import gzip
import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import proxyalign
from proxyalign import displays
from proxyalign.errors import InputError
from proxyalign.evaluation.comparison import compare, table
from proxyalign.evaluation.comparison.runs import Run, load_runs
from proxyalign.evaluation.provenance import commit
from proxyalign.evaluation.records import writing
from proxyalign.files import replacing
from proxyalign.report.content import content, questions_of
from proxyalign.report.reproduce import command

_IMAGES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


def write_report(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    reference: str | Path | None = None,
    figures: Sequence[str | Path] = (),
    data: str | Path | None = None,
) -> Path:
    """Write the report of `runs` to the file `out`, whole or not at all, and return its path.

    Arguments and errors are those of `report_html`; InputError too where `out` cannot be written.
    """
    page = report_html(runs, reference=reference, figures=figures, data=data).encode()
    path = Path(out)
    with writing(path), replacing(path) as file:
        file.write(page)
    return path


def report_html(
    runs: Sequence[str | Path],
    *,
    reference: str | Path | None = None,
    figures: Sequence[str | Path] = (),
    data: str | Path | None = None,
) -> str:
    """A page that needs nothing beside it: the same runs and figures give the same text, byte for byte.

    runs: folders of runs on the same questions, or results folders, which stand for all of theirs; one is enough.
    reference: the run that the others are held against, by its folder, its label or its rule; the first run. figures:
    PNG, SVG or JPEG files, put into the page under their names. data: the folder of the task's files, which the
    questions' texts are read from, by default what PROXYALIGN_DATA names; what is not found there is not shown.

    All numbers are those of `evaluation.compare`, or of one run alone. Raises InputError for what cannot be read, and
    for runs that do not answer the same questions.
    """
    shown, cells, notes = _compared(runs, reference)
    questions, missing = questions_of(shown[0], data)
    packed = gzip.compress(json.dumps(content(shown, questions), allow_nan=False).encode(), mtime=0)
    style, script = (files("proxyalign.report").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    first = shown[0].settings
    title = f"{first.get('task')} {first.get('split')}: {shown[0].label}"
    if len(shown) > 1:
        title += f" and {shown[1].label if len(shown) == 2 else f'{len(shown) - 1} other runs'}"
    return Template(files("proxyalign.report").joinpath("page.html").read_text("utf-8")).substitute(
        title=_plain(title),
        heading=visible(title),
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        lead=f"{len(shown[0].records):,} questions, {len(shown)} run{'s' * (len(shown) > 1)}.",
        summary=_table("Right answers, with 95 percent intervals", cells),
        notes=_notes([*notes, *([missing] if missing else [])]),
        figures="".join(map(_figure, figures)),
        settings=_table("Settings and versions of each run", _settings(shown)),
        commands="".join(map(_command, shown)),
        writer=visible(
            f"proxyalign {proxyalign.__version__}, commit {commit() or 'unknown'}, Python {platform.python_version()}"
        ),
        data=base64.b64encode(packed).decode(),
    )


def visible(text: str) -> str:
    """A text as HTML, its hidden characters told by their numbers, as `page.js` tells those of what it shows."""
    return displays.visible(text, '<span class="control">U+{}</span>')


def _plain(text: str) -> str:
    """The same where HTML has no room for elements: in attributes, and in the page's title."""
    return displays.visible(text, "U+{}")


def _compared(
    runs: Sequence[str | Path], reference: str | Path | None
) -> tuple[list[Run], list[tuple[str, ...]], Sequence[str]]:
    """The runs, the reference first, with the cells and the notes of the table that holds them together."""
    found = load_runs(runs)
    if not found:
        raise InputError("report: there must be at least one run, got none; name the folders of runs")
    if len(found) == 1 and reference is None:
        alone = table([found[0].folder])
        return found, alone.cells(), alone.notes
    held = compare(runs, reference)
    labels = {held.reference_folder: held.reference, **{one.folder: one.run for one in held.runs}}
    by_folder = {str(run.folder): run for run in [*found, *load_runs([held.reference_folder])]}
    return [replace(by_folder[at], label=label) for at, label in labels.items()], held.cells(), held.notes


def _settings(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """One row for each setting and version, one column for each run."""
    told = [{"folder": run.folder.name, **run.settings} for run in runs]
    for one, run in zip(told, runs, strict=True):
        for name in ("version", "commit"):
            one[f"records by {name}"] = ", ".join(dict.fromkeys(str(record.get(name)) for record in run.records))
    names = dict.fromkeys(name for one in told for name in one)
    return [
        ("setting", *(run.label for run in runs)),
        *((name, *(_value(one.get(name)) for one in told)) for name in names),
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else "-" if value is None else json.dumps(value)


def _table(caption: str, rows: Sequence[Sequence[str]]) -> str:
    """A table of texts in a box that scrolls by itself, its first row and column the names of the others."""
    head = "".join(f'<th scope="col">{visible(cell)}</th>' for cell in rows[0])
    body = "".join(
        f'<tr><th scope="row">{visible(row[0])}</th>'
        + "".join(f"<td>{visible(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows[1:]
    )
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{caption}"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _notes(notes: Iterable[str]) -> str:
    told = "".join(f"<li>{visible(note)}</li>" for note in dict.fromkeys(notes))
    return f"<ul>{told}</ul>" if told else ""


def _figure(path: str | Path) -> str:
    """An image within the page; an SVG's scripts and links are dead in one. InputError for a file that is none."""
    path = Path(path)
    if path.suffix.lower() not in _IMAGES:
        raise InputError(
            f"report: a figure must end in {', '.join(_IMAGES)}, got {str(path)!r}; save it as one of these"
        )
    try:
        image = base64.b64encode(path.read_bytes()).decode()
    except OSError as reason:
        raise InputError(f"report: {path} must be a file to read, got {reason.strerror}; name another") from None
    kind, name = _IMAGES[path.suffix.lower()], path.stem.replace("_", " ")
    return (
        f'<figure><img src="data:{kind};base64,{image}" alt="Figure: {_plain(name)}">'
        f"<figcaption>{visible(name)}</figcaption></figure>"
    )


def _command(run: Run) -> str:
    line = command(run.settings, has_traces=any("trace" in record for record in run.records))
    return f"<h3>{visible(run.label)}</h3><pre><code>{visible(line)}</code></pre>"


def _hash(text: str) -> str:
    """What a content security policy calls an inline script or style, so that no other one runs."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
