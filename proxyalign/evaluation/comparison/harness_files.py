"""What lm-evaluation-harness wrote: its results_*.json and samples_*.jsonl, read as accuracies of our tasks.

The form is that of version 0.4.13: `results` -> task -> "acc,none" beside "acc_stderr,none", where what follows the
comma is the filter that took the answer out of a reply.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxyalign.errors import InputError
from proxyalign.evaluation.comparison.results import Result
from proxyalign.evaluation.comparison.runs import rule_label
from proxyalign.evaluation.metrics import Z_95, wilson
from proxyalign.files import read_json, read_json_lines

# The harness's names of the tasks that we have, by ours. Prompts differ, and so numbers compare only so far.
TASKS = {
    "arc_challenge": "arc-challenge",
    "arc_challenge_chat": "arc-challenge-reply",
    "commonsense_qa": "commonsenseqa",
    "gsm8k": "gsm8k",
    "gsm8k_cot": "gsm8k",
    "gsm8k_cot_zeroshot": "gsm8k-0shot",
    "hendrycks_math500": "math500",
    "ifeval": "ifeval",
    "minerva_math500": "math500",
    "mmlu": "mmlu",
    "mmlu_generative": "mmlu-reply",
    "truthfulqa_mc1": "truthfulqa",
    "truthfulqa_mc2": "truthfulqa",
}
# Metrics that are means of right and wrong, or, of truthfulqa_mc2, of a share.
METRICS = (
    "acc", "acc_norm", "exact_match", "math_verify", "prompt_level_strict_acc", "prompt_level_loose_acc",
    "inst_level_strict_acc", "inst_level_loose_acc",
)  # fmt: skip
_MODELS = ("pair", "base", "proxy", "reference", "pretrained", "model")  # arguments that name models
# Arguments of our model in the harness that are no parameters of its rule.
_NO_PARAMETERS = {
    *_MODELS, "rule", "mode", "window", "seed", "device", "dtype", "batch_size", "max_batch_size", "max_gen_toks",
    "proxy_chat", "base_chat",
}  # fmt: skip
_WHOLE = 1e-6  # how far from a whole number of right answers a rounded mean may put us
_SAMPLES = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.\-]+\.jsonl")


def read_harness(path: str | Path) -> list[Result]:
    """The accuracies in a file of the harness, or in the results_*.json files of a folder and of those in it.

    A metric becomes one row, `measure` its name with the filter's. The interval is Wilson's where the mean is one of
    right and wrong over a known number of questions, else that of the harness's standard error, else not known. Of
    samples the model is not told, and their verdicts are averaged here. Metrics that are no accuracies are left out.

    Raises InputError for what is no such file, and for a folder without any.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(path.rglob("results_*.json"))
        if not found:
            raise InputError(
                f"compare: {str(path)!r} must hold the harness's results_*.json, got none; name the folder that "
                "--output_path named, or a file"
            )
        return [row for one in found for row in read_harness(one)]
    return _of_samples(path) if path.suffix == ".jsonl" else _of_results(path)


def _of_results(path: Path) -> list[Result]:
    content = read_json("compare", path)
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict) or not all(isinstance(metrics, dict) for metrics in results.values()):
        raise InputError(
            f"compare: {path} must be results of lm-evaluation-harness, got JSON without its 'results'; name a "
            "results_*.json or a samples_*.jsonl"
        )
    source = " ".join(filter(None, ("lm-eval", content.get("lm_eval_version"))))
    pair, rule = _model(content)
    rows = []
    for task, metrics in results.items():
        counts = (content.get("n-samples") or {}).get(task) or {}
        n = counts.get("effective", metrics.get("sample_len"))
        for key, value in metrics.items():
            name, _, of_filter = key.partition(",")
            if name in METRICS and isinstance(value, int | float):
                error = metrics.get(f"{name}_stderr,{of_filter}")
                interval = _interval(task, name, float(value), n, error)
                rows.append(_row(source, pair, task, rule, name, of_filter, float(value), interval, n))
    return rows


def _of_samples(path: Path) -> list[Result]:
    lines = read_json_lines("compare", path)
    named = _SAMPLES.fullmatch(path.name)
    task = named["task"] if named else path.stem.removeprefix("samples_")
    verdicts: dict[tuple[str, str], list[float]] = {}
    for number, sample in lines:
        if not isinstance(sample, dict) or "doc_id" not in sample or not isinstance(sample.get("metrics"), list):
            raise InputError(
                f"compare: {path} line {number} must be a sample of lm-evaluation-harness, got JSON without doc_id "
                "and metrics; run the harness with --log_samples"
            )
        for name in sample["metrics"]:
            if name in METRICS and isinstance(value := sample.get(name), int | float):
                verdicts.setdefault((name, str(sample.get("filter", "none"))), []).append(float(value))
    rows = []
    for (name, of_filter), values in verdicts.items():
        n, mean = len(values), sum(values) / len(values)
        rows.append(
            _row("lm-eval samples", "-", task, "-", name, of_filter, mean, _interval(task, name, mean, n, None), n)
        )
    return rows


def _row(
    source: str,
    pair: str,
    task: str,
    rule: str,
    name: str,
    of_filter: str,
    value: float,
    interval: tuple[float, float] | None,
    n: Any,
) -> Result:
    measure = name if of_filter in ("none", "") else f"{name} ({of_filter})"
    if task not in TASKS:
        return Result(source, pair, task, rule, measure, value, interval, n)
    measure = {"truthfulqa_mc1": "MC1", "truthfulqa_mc2": "MC2"}.get(task, measure)
    return Result(source, pair, TASKS[task], rule, measure, value, interval, n)


def _interval(task: str, name: str, value: float, n: Any, error: Any) -> tuple[float, float] | None:
    of_verdicts = task != "truthfulqa_mc2" and not name.startswith("inst_level")
    if of_verdicts and isinstance(n, int) and n > 0 and abs(value * n - round(value * n)) < _WHOLE * n:
        return wilson(round(value * n), n)
    if isinstance(error, int | float):
        return max(0.0, value - Z_95 * error), min(1.0, value + Z_95 * error)
    return None


def _model(content: Mapping[str, Any]) -> tuple[str, str]:
    """The pair and the rule of what was evaluated; of another model than ours its name, alone."""
    config = content.get("config") or {}
    arguments = _arguments(config.get("model_args"))
    named = [arguments[name] for name in _MODELS if name in arguments]
    pair = " + ".join(named) or str(content.get("model_name") or config.get("model") or "-")
    if config.get("model") != "proxyalign":
        return pair, "alone"
    parameters = {name: value for name, value in arguments.items() if name not in _NO_PARAMETERS}
    return pair, rule_label(arguments.get("rule", "dual"), parameters)


def _arguments(given: Any) -> dict[str, str]:
    """The arguments of a model by name, which come as name=value,name=value or as JSON."""
    if isinstance(given, Mapping):
        return {str(name): str(value) for name, value in given.items()}
    parts = (part.partition("=") for part in str(given or "").split(",") if part)
    return {name: value for name, _, value in parts}
