"""Benchmarks from the Hugging Face hub: each data set is written once as the files that its authors publish, which the
tasks then read as any others.

Names, configurations and fields are those of the data sets on huggingface.co, as lm-evaluation-harness 0.4.13 reads
them too.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from proxyalign.errors import InputError
from proxyalign.models.kept import kept

Rows = list[dict[str, Any]]
Load = Callable[..., Rows]


def hub_folder(task: str) -> Path:
    """A data folder with the files of the benchmark that `task` asks, loaded at the first time and kept in the cache.

    Raises InputError where `datasets` is not installed or cannot load the data set, where the data set has other fields
    than it had, and where the cache folder cannot be written.
    """
    benchmark = task.split("-", 1)[0]
    return kept(task, f"benchmarks/{benchmark}", partial(_write, task, benchmark))


def _write(task: str, benchmark: str, folder: Path) -> None:
    try:
        _WRITERS[benchmark](folder, partial(_load, task))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{task}: the data set on the hub must have the fields that its authors published, got {error!r}; "
            "pass data= (--data), a folder with their files"
        ) from error


def _load(task: str, name: str, config: str | None = None, *, split: str) -> Rows:
    """The rows of a split of the data set `name` on the hub."""
    try:
        import datasets

        return [dict(row) for row in datasets.load_dataset(name, config, split=split)]
    except ImportError as error:
        raise InputError(
            f"{task}: datasets must be installed to load {name} from the hub, got none; pip install datasets, or pass "
            "data= (--data), a folder with the files"
        ) from error
    except Exception as error:  # of the network, the hub or the reader of any format
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise InputError(
            f"{task}: {name} must be within reach on the hub, got {reason}; go online, or pass data= (--data), "
            "a folder with the files"
        ) from error


def _gsm8k(folder: Path, load: Load) -> None:
    for split in ("train", "test"):
        _json_lines(folder / "gsm8k" / f"{split}.jsonl", load("openai/gsm8k", "main", split=split))


def _svamp(folder: Path, load: Load) -> None:
    """The hub has SVAMP's 1,000 rows in two splits, with texts as answers; its authors have one file."""
    rows = [row for split in ("train", "test") for row in load("ChilleD/SVAMP", split=split)]
    rows.sort(key=lambda row: int(row["ID"].rpartition("-")[2]))
    fields = ("ID", "Body", "Question", "Equation", "Answer", "Type")
    whole = [{name: row[name] for name in fields} | {"Answer": float(row["Answer"])} for row in rows]
    _put(folder / "svamp" / "SVAMP.json", json.dumps(whole, indent=4, ensure_ascii=False))


def _math500(folder: Path, load: Load) -> None:
    _json_lines(folder / "math500" / "test.jsonl", load("HuggingFaceH4/MATH-500", split="test"))


def _ifeval(folder: Path, load: Load) -> None:
    _json_lines(folder / "ifeval" / "input_data.jsonl", load("google/IFEval", split="train"))


def _mmlu(folder: Path, load: Load) -> None:
    for part in ("dev", "test"):
        by_subject: dict[str, list[list[Any]]] = {}
        for row in load("cais/mmlu", "all", split=part):
            by_subject.setdefault(row["subject"], []).append([row["question"], *row["choices"], row["answer"]])
        for subject, rows in by_subject.items():
            header = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]
            _table(folder / "mmlu" / part / f"{subject}_{part}.csv", [header, *rows])


def _arc(folder: Path, load: Load) -> None:
    rows = load("allenai/ai2_arc", "ARC-Challenge", split="test")
    _json_lines(folder / "arc" / "ARC-Challenge-Test.jsonl", map(_exam, rows))


def _commonsenseqa(folder: Path, load: Load) -> None:
    rows = load("tau/commonsense_qa", split="validation")
    _json_lines(folder / "commonsenseqa" / "dev_rand_split.jsonl", map(_exam, rows))


def _exam(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ARC or CommonsenseQA as in its file, where each choice holds its own text and label."""
    pairs = zip(row["choices"]["text"], row["choices"]["label"], strict=True)
    choices = [{"text": text, "label": label} for text, label in pairs]
    question = {"stem": row["question"], "choices": choices}
    return {"id": row["id"], "question": question, "answerKey": row["answerKey"]}


def _truthfulqa(folder: Path, load: Load) -> None:
    entries = [
        {"question": row["question"]}
        | {name: dict(zip(row[name]["choices"], row[name]["labels"], strict=True)) for name in _TARGETS}
        for row in load("truthfulqa/truthful_qa", "multiple_choice", split="validation")
    ]
    _put(folder / "truthfulqa" / "mc_task.json", json.dumps(entries, ensure_ascii=False))
    rows = [
        ["; ".join(row[name]) if isinstance(row[name], list) else row[name] for name in _TRUTHFUL_COLUMNS]
        for row in load("truthfulqa/truthful_qa", "generation", split="validation")
    ]
    _table(folder / "truthfulqa" / "TruthfulQA.csv", [list(_TRUTHFUL_COLUMNS.values()), *rows])


_TARGETS = ("mc1_targets", "mc2_targets")
_TRUTHFUL_COLUMNS = {
    "type": "Type",
    "category": "Category",
    "question": "Question",
    "best_answer": "Best Answer",
    "correct_answers": "Correct Answers",
    "incorrect_answers": "Incorrect Answers",
    "source": "Source",
}
_WRITERS: dict[str, Callable[[Path, Load], None]] = {
    "gsm8k": _gsm8k,
    "svamp": _svamp,
    "math500": _math500,
    "ifeval": _ifeval,
    "mmlu": _mmlu,
    "arc": _arc,
    "commonsenseqa": _commonsenseqa,
    "truthfulqa": _truthfulqa,
}


def _json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    _put(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _table(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    _put(path, written.getvalue())


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
