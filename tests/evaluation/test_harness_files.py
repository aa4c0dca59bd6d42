"""What lm-evaluation-harness wrote is read as it stands: names, filters, models, and what its intervals may be."""

import json

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.evaluation import wilson
from proxyalign.evaluation.comparison import table
from proxyalign.evaluation.comparison.harness_files import TASKS, read_harness

# The form of lm-eval 0.4.13's files, cut to what is read.
RESULTS = {
    "results": {
        "gsm8k": {
            "alias": "gsm8k",
            "sample_len": 200,
            "exact_match,strict-match": 0.41,
            "exact_match_stderr,strict-match": 0.0349,
            "exact_match,flexible-extract": 0.455,
            "exact_match_stderr,flexible-extract": 0.0353,
        },
        "truthfulqa_mc2": {"alias": "truthfulqa_mc2", "acc,none": 0.46, "acc_stderr,none": 0.01},
        "truthfulqa_gen": {"alias": "truthfulqa_gen", "bleu_max,none": 20.0, "bleu_max_stderr,none": 0.5},
        "mmlu": {"acc,none": 0.25, "acc_stderr,none": "N/A", "alias": "mmlu"},
        "piqa": {"acc,none": 0.5, "acc_stderr,none": 0.1},
    },
    "n-samples": {"gsm8k": {"original": 1319, "effective": 200}, "truthfulqa_mc2": {"original": 817, "effective": 50}},
    "config": {"model": "proxyalign", "model_args": "base=org/big,proxy=org/small,rule=dual,alpha=0.4,dtype=float32"},
    "model_name": "x",
    "lm_eval_version": "0.4.13",
}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_results_become_rows(tmp_path):
    """Fails when a filter is lost, another number of questions counts than the limit's, or BLEU is an accuracy."""
    rows = {(row.task, row.measure): row for row in read_harness(write(tmp_path / "results_x.json", RESULTS))}
    assert set(rows) == {
        ("gsm8k", "exact_match (strict-match)"), ("gsm8k", "exact_match (flexible-extract)"), ("truthfulqa", "MC2"),
        ("mmlu", "acc"), ("piqa", "acc"),
    }  # fmt: skip
    strict = rows["gsm8k", "exact_match (strict-match)"]
    assert (strict.source, strict.pair, strict.rule) == ("lm-eval 0.4.13", "org/big + org/small", "dual(alpha=0.4)")
    assert (strict.accuracy, strict.n, strict.interval) == (0.41, 200, wilson(82, 200))


def test_an_interval_is_one_of_verdicts_of_the_standard_error_or_none(tmp_path):
    """Fails when a mean of likelihoods is taken for counts, although it is a whole number of them, or N/A for 0."""
    rows = {(row.task, row.measure): row for row in read_harness(write(tmp_path / "results_x.json", RESULTS))}
    assert rows["truthfulqa", "MC2"].interval == pytest.approx((0.46 - 0.0196, 0.46 + 0.0196), abs=1e-5)
    assert rows["mmlu", "acc"].interval is None
    assert rows["piqa", "acc"].interval == pytest.approx((0.304, 0.696), abs=1e-4)


@pytest.mark.parametrize(
    ("config", "pair"),
    [
        ({"model": "hf", "model_args": "pretrained=org/big,dtype=auto"}, "org/big"),
        ({"model": "hf", "model_args": {"pretrained": "org/big", "trust": True}}, "org/big"),
        ({"model": "dummy", "model_args": None}, "x"),
    ],
)
def test_another_model_stands_alone(tmp_path, config, pair):
    """Fails when a model of the harness's own gets a rule of ours, or loses its name."""
    first = read_harness(write(tmp_path / "results_x.json", RESULTS | {"config": config}))[0]
    assert (first.pair, first.rule) == (pair, "alone")


def test_samples_are_averaged_by_filter(tmp_path):
    """Fails when the verdicts of two filters are mixed, or the task is not the one that the file is named for."""
    lines = [
        {"doc_id": i, "filter": of_filter, "metrics": ["exact_match"], "exact_match": float(i < n)}
        for of_filter, n in (("strict-match", 1), ("flexible-extract", 3))
        for i in range(4)
    ]
    path = tmp_path / "samples_arc_challenge_chat_2026-11-29T19-55-04.391735.jsonl"
    rows = read_harness(write(path, "".join(json.dumps(line) + "\n" for line in lines)))
    assert [(row.task, row.accuracy, row.n) for row in rows] == [
        ("arc-challenge-reply", 0.25, 4),
        ("arc-challenge-reply", 0.75, 4),
    ]
    assert rows[0].interval == wilson(1, 4)


def test_a_folder_stands_for_the_results_in_it(tmp_path):
    """Fails when the folder that the harness makes for a model is not looked into."""
    (tmp_path / "org__big").mkdir()
    write(tmp_path / "org__big" / "results_x.json", RESULTS)
    write(tmp_path / "org__big" / "samples_gsm8k_x.jsonl", "")
    assert len(table(harness=[tmp_path]).rows) == 5


def test_tasks_are_called_as_ours_are():
    """Fails for a mapping to a benchmark that there is not."""
    assert set(TASKS.values()) <= set(tasks.NAMES)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("results_x.json", "[]", "must be results of lm-evaluation-harness"),
        ("results_x.json", '{"results": 3}', "must be results of lm-evaluation-harness"),
        ("results_x.json", '{"results": {"gsm8k": {}}}', "must hold one of acc, "),
        ("results_x.json", '{"results"', "must be JSON"),
        ("samples_x.jsonl", '{"doc": 3}\n', "line 1 must be a sample"),
        ("samples_x.jsonl", "\n{\n", "line 2 must be one JSON object"),
        ("notes.txt", "see there", "must be JSON"),
    ],
)
def test_files_of_another_form_are_refused_in_a_sentence(tmp_path, name, content, told):
    """Fails when a wrong file ends in a traceback, or is an empty table."""
    with pytest.raises(InputError) as refusal:
        table(harness=[write(tmp_path / name, content)])
    assert told in str(refusal.value)


def test_what_is_not_there_is_refused(tmp_path):
    """Fails when a folder without results is nothing at all."""
    with pytest.raises(InputError, match=r"must hold the harness's results_\*\.json, got none"):
        table(harness=[tmp_path])
    with pytest.raises(InputError, match="must be a file to read"):
        table(harness=[tmp_path / "nowhere.json"])
