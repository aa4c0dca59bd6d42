"""Shards of a grid joined to the run that they are parts of: the records, rows and numbers of a single run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proxyalign.errors import InputError
from proxyalign.evaluation.asked import PROMPTS
from proxyalign.evaluation.records import (
    RECORDS,
    SETTINGS,
    SHARD,
    check_folder,
    claim_folder,
    read_records,
    read_settings,
    writing,
)
from proxyalign.evaluation.row_sample import ROWS, RowSample
from proxyalign.evaluation.run import SUMMARY, merged_settings, write_summary
from proxyalign.evaluation.settings import Settings, differences
from proxyalign.files import read_json, replacing, write_json

_REMEDY = "run it to its end with the same command and --shard"


def shards_of(out: str | Path) -> list[Path]:
    """The folders of the shards in that of their run, in no order; InputError where there is none."""
    found = [path for path in Path(out).glob(f"{SHARD}*") if path.is_dir()]
    if not found:
        raise InputError(
            f"evaluation: {str(out)!r} must hold shards, got none; run each with --shard i/n into this folder"
        )
    return found


def merge(shards: Sequence[str | Path], out: str | Path, *, grid: Sequence[Settings] = ()) -> dict[str, Any]:
    """Join the folders `shards`, all of one grid, to the results folder `out`; return its summary as `run_grid` does.

    Each question keeps the seed and the batch that a single run gives it, so that records, rows and summary are those
    of `run_grid`, byte for byte, but for clocks (`seconds`, `tokens_per_second`). Where a chat template writes the
    date, proxy_prompts.json has what each shard read. grid: settings that the shards must have, if given.

    Raises InputError, before anything is written, where a shard is missing, there twice, unfinished or of other
    settings, and where `out` holds other records.
    """
    out = Path(out)
    parts = [_part(Path(folder), grid) for folder in shards]
    parts.sort(key=lambda part: part["first"])
    _check_whole(parts)
    merged = {name: value for name, value in parts[0]["settings"].items() if name != "shard"}
    check_folder(out, merged)
    runs = [run["folder"] for run in parts[0]["summary"]["runs"]]
    joined = {run: _records(parts, run) for run in runs}
    for run, (content, _) in joined.items():
        there = out / run / RECORDS
        if there.exists() and there.read_bytes() not in (content, b""):
            raise InputError(
                f"evaluation: {there} must hold what the shards say or nothing, got other records; pass another folder"
            )
    claim_folder(out, merged)
    with writing(out):
        _join_prompts(parts, "", out)
        for run, (content, _) in joined.items():
            settings = _settings(parts[0]["folder"] / run)
            claim_folder(out / run, {name: value for name, value in settings.items() if name != "shard"})
            _join_prompts(parts, run, out / run)
            _join_rows(parts, run, settings, out / run / ROWS)
            with replacing(out / run / RECORDS) as file:
                file.write(content)
    told = {name: value for name, value in parts[0]["summary"]["settings"].items() if name != "shard"}
    results = [(records[0], run, records) for run, (_, records) in joined.items()]
    return write_summary(out, told, results, parts[0]["summary"].get("data"))


def _settings(folder: Path) -> dict[str, Any]:
    found = read_settings(folder)
    if found is None or "shard" not in found:
        raise InputError(
            f"evaluation: {str(folder)!r} must be the folder of a shard, got no {SETTINGS} that says which; "
            "run it with --shard i/n, or leave it out"
        )
    return found


def _part(folder: Path, grid: Sequence[Settings]) -> dict[str, Any]:
    """A shard's folder, settings and summary, and its first question and the one after its last."""
    settings = _settings(folder)
    if grid:
        check_folder(folder, merged_settings(grid))
    if not (folder / SUMMARY).exists():
        raise InputError(f"evaluation: {str(folder)!r} must be finished, got no {SUMMARY} in it; {_REMEDY}")
    summary = read_json("evaluation", folder / SUMMARY)
    return {"folder": folder, "settings": settings, "summary": summary, **settings["shard"]}


def _check_whole(parts: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError unless the parts, in order, are all questions of one grid, each once."""
    first, after = parts[0], 0
    for part in parts:
        if other := differences(*({**one["settings"], "shard": f"of {one['of']}"} for one in (first, part))):
            raise InputError(
                f"evaluation: shards must be of one run, got {other}, in {str(first['folder'])!r} and "
                f"{str(part['folder'])!r}; merge those of one command"
            )
    numbers = [part["number"] for part in parts]
    for number in range(1, first["of"] + 1):
        if numbers.count(number) != 1:
            found = "none" if number not in numbers else f"{numbers.count(number)}"
            raise InputError(
                f"evaluation: shard {number}/{first['of']} must be there once, got {found}; "
                + (f"run it with --shard {number}/{first['of']}" if found == "none" else "leave out the others")
            )
    for part in parts:
        if part["first"] != after:
            raise InputError(
                f"evaluation: shards must follow one another, got one from question {part['first']} after one up to "
                f"question {after}; run all shards with one --batch-size"
            )
        after = part["last"]


def _records(parts: Sequence[Mapping[str, Any]], run: str) -> tuple[bytes, list[dict[str, Any]]]:
    """The records of a run in all parts, as they are on the disk and as they are."""
    contents, records = [], []
    for part in parts:
        path = part["folder"] / run / RECORDS
        own = read_records(path, first=part["first"]) if path.exists() else []
        if len(own) != part["last"] - part["first"]:
            raise InputError(
                f"evaluation: {path} must hold {part['last'] - part['first']} records, got {len(own)}; {_REMEDY}"
            )
        content = path.read_bytes()
        contents.append(content[: content.rfind(b"\n") + 1])
        records += own
    return b"".join(contents), records


def _join_prompts(parts: Sequence[Mapping[str, Any]], run: str, out: Path) -> None:
    """Write what the proxy read of each question, where a chat template wrote it."""
    if not (parts[0]["folder"] / run / PROMPTS).exists():
        return
    texts: list[str] = []
    for part in parts:
        texts += read_json("evaluation", part["folder"] / run / PROMPTS)["texts"][part["first"] : part["last"]]
    write_json(out / PROMPTS, {"texts": texts})


def _join_rows(parts: Sequence[Mapping[str, Any]], run: str, settings: Mapping[str, Any], out: Path) -> None:
    """Write those of the parts' rows that a single run keeps: they are among those that each part keeps of its own."""
    found = [part["folder"] / run / ROWS for part in parts]
    if not any(path.exists() for path in found):
        return
    sample = RowSample(out, settings["rows"], settings["seed"])
    for path in found:
        sample.join(RowSample(path, settings["rows"], settings["seed"]))
    sample.save()
