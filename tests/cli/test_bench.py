"""`proxyalign bench`: every contestant in one run, predictions beside measurements, JSON for the analysis."""

import json

import numpy as np
import pytest
from tiny_models import llama, tiny_pair, word_tokenizer

from proxyalign.bench import batches, decoding_speed
from proxyalign.bench.decoding_speed import ASSISTED, BASE_ALONE, TRANSFORMERS, Contestant, contestants, measure
from proxyalign.decoding.trace import Counts, Stats, rates
from proxyalign.decoding.window import tokens_per_cycle
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import load_pair


def test_the_field_is_measured_side_by_side():
    """Fails when a contestant is left out, a ratio is not to the base alone, or transformers is left changed."""
    pair = tiny_pair(llama, 10, double=False)
    before = pair.proxy.generation_config.to_dict()
    field = contestants(0.4, 0.5, 0.4, [2, 3])
    seen = []
    report = measure(
        pair,
        ["t1 t2", "t3"],
        field,
        max_new_tokens=6,
        repeats=2,
        n_resamples=50,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]
    assert pair.proxy.generation_config.to_dict() == before
    json.dumps(report, allow_nan=False)
    runs = {run["name"]: run for run in report["runs"]}
    assert len(runs) == len(field) == 12
    assert runs["never() autoregressive"]["speedup"] == 1
    assert {run["n_tokens"] for run in report["runs"]} == {2 * 2 * 6}
    assert set(report["costs_ms"]) == {
        "base, 1 positions",
        "base, 2 positions",
        "base, 3 positions",
        "base, 4 positions",
        "proxy, 1 positions",
        "proxy, 2 positions",
    }
    fast = runs["dual(alpha=0.4) speculative, window 3"]
    assert (fast["rule"], fast["parameter"], fast["mode"], fast["window"]) == ("dual", 0.4, "speculative", 3)
    assert fast["predicted_tokens_per_cycle"] == tokens_per_cycle(fast["acceptance_rate"], 3)
    for run in report["runs"]:
        assert run["speedup_low"] <= run["speedup_high"]
        assert (run["acceptance_rate"] is None) == (run["window"] is None or run["engine"] != "proxyalign")


def test_the_share_of_bare_passes_counts_each_pass_at_its_own_cost():
    """Fails when a narrow pass counts as a wide one, or the prompts' passes count twice or not at all."""
    one = Contestant(rules.Dual(0.4), "speculative", 2)
    costs = {("proxy", 1): 1.0, ("proxy", 2): 1.5, ("base", 1): 3.0, ("base", 2): 3.5, ("base", 3): 4.0}
    # Five cycles of two drafts after a prompt of ten tokens, and of one, whose passes are no wider than others; twice
    # the window before was accepted whole, and once its bonus was deferred.
    for n_prompt, of_base, of_proxy in (
        (10, {12: 1, 3: 3, 2: 1}, {10: 1, 1: 8, 2: 1}),
        (1, {3: 4, 2: 1}, {1: 9, 2: 1}),
    ):
        counts = Counts(n_cycles=5, n_tested=8, n_accepted=6, base_passes=of_base, proxy_passes=of_proxy)
        stats = Stats(**vars(rates(11, 40.0, 1.0, counts)), **vars(counts))
        tally = decoding_speed._Tally([40.0], [11], [stats], decoding_speed._after_prompt(stats, n_prompt, 2))
        summary = decoding_speed._summary(one, tally, np.ones(2), costs, reading=7.0)
        bare = (3 * 4.0 + 3.5) + (8 * 1.0 + 1.5) + 7.0
        assert summary["share_of_bare_passes"] == pytest.approx(bare / 40.0)
    assert summary["predicted_speedup_at_cost"] == pytest.approx(tokens_per_cycle(6 / 8, 2) * 3.0 / (2 * 1.0 + 4.0))


def test_batches_and_steps_are_measured_beside_what_they_are_compared_with(monkeypatch):
    """Fails when a text ends early, a batch is compared with another contestant's, or the end of text is left out."""
    monkeypatch.setattr(batches, "VOCABULARIES", (50,))
    pair = tiny_pair(llama, 10, double=False, eos_token_id=3)
    seen = []
    runs = batches.measure_batches(
        pair,
        ["t1 t2", "t4"],
        rules.Dual(0.4),
        windows=(1, 2),
        n_tokens=5,
        repeats=1,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (7, 7)
    assert len(runs) == 7 * len(batches.SIZES)
    assert {run["window"] for run in runs if run["mode"] == "speculative"} == {1, 2}
    assert pair.base.generation_config.eos_token_id == 3
    assert all(run["times_one"] == 1.0 for run in runs if run["batch"] == 1)
    assert all((run["times_transformers"] is None) == run["name"].startswith("dual") for run in runs)
    steps = batches.measure_step(pair, "t1 t2", window=2, repeats=2)
    assert [(step["rule"], step["vocabulary"]) for step in steps] == [
        ("dual(alpha=0.4)", 50),
        ("primal(budget=0.5)", 50),
    ]
    assert all(
        step["share"] == pytest.approx(step["test_ms"] / (step["verify_ms"] + step["test_ms"])) for step in steps
    )


def test_tokens_per_cycle_by_hand():
    """Statement 12. Fails when the bonus is not counted, or A = 1 divides by zero."""
    assert tokens_per_cycle(0.0, 4) == 1
    assert tokens_per_cycle(1.0, 4) == 5
    assert tokens_per_cycle(0.5, 2) == pytest.approx(1 + 0.5 + 0.25)


def test_a_comparison_needs_what_it_compares_with():
    """Fails when a field without the base alone ends in a KeyError after an hour of measuring."""
    with pytest.raises(InputError, match="the base alone among the contestants"):
        measure(tiny_pair(llama, 10), ["t1"], [Contestant(rules.Dual(0.4))], max_new_tokens=2)
    with pytest.raises(InputError, match="got 0 prompts"):
        measure(tiny_pair(llama, 10), [], [BASE_ALONE], max_new_tokens=2)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--windows", "3,x", "--windows must be whole numbers of at least 1 with commas, got '3,x'"),
        ("--windows", "0", "--windows must be whole numbers"),
        ("--repeats", "0", "threads and repeats must be at least 1"),
        ("--alpha", "7", "alpha must be a number in [0, 1], got 7.0"),
        ("--task", "lab-maths", "lab-maths"),
        ("--also", "near-optimal,duel", "got 'duel'"),
        ("--pair", "", "got ''"),
        ("--max-new-tokens", "0", "max_new_tokens must be a whole number of at least 1, got 0"),
        ("--task", "commonsenseqa", "got commonsenseqa, whose choices are read; take commonsenseqa-reply"),
    ],
)
def test_a_mistake_ends_with_one_sentence(command, option, value, told):
    """Fails when a mistake is found only after the models are loaded, or ends in a traceback."""
    code, out, err = command("bench", "decode", option, value)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_the_command_prints_a_table_and_writes_the_numbers(command, tmp_path, monkeypatch):
    """Fails when the table lacks a contestant, or the file differs from what was measured."""
    from proxyalign import tasks
    from proxyalign.tasks.base import Question

    for seed, part in enumerate(("base", "proxy")):
        llama(10, seed, layers=2 - seed).save_pretrained(tmp_path / part)
        word_tokenizer(10).save_pretrained(tmp_path / part)

    class Words:
        name, kind, version, splits, max_new_tokens, stop = "words", "reply", 1, ("dev",), 4, ()

        def questions(self, split="dev", data=None, limit=None):
            return [Question(str(i), f"t{i}", None, "t0") for i in range(limit)]

    monkeypatch.setattr(tasks, "get", lambda name: Words())
    out_file = tmp_path / "speed.json"
    options = ["--pair", tmp_path, "--offline", "--limit", 2, "--windows", "2", "--also", "near-optimal, exact"]
    code, out, _ = command("bench", "decode", *options, "--out", out_file)
    assert code == 0
    written = json.loads(out_file.read_text())
    assert written["task"] == "words"
    for run in written["runs"]:
        assert run["name"] in out
    assert {"near-optimal", "exact"} <= {run["rule"] for run in written["runs"]}
    assert "forward passes (mean): base, 1 positions" in out


def test_the_rules_are_timed_beside_a_sort_of_the_same_rows(command):
    """Fails when a rule is left out, a ratio is to another batch, or --json prints more than the numbers."""
    code, out, _ = command("bench", "rules", "--vocabulary", 500, "--batch", 3, "--repeats", 2, "--json")
    assert code == 0
    answer = json.loads(out)
    assert (answer["vocabulary"], answer["batch"], answer["rows"]) == (500, 3, "made up")
    batched = ["torch.sort", "primal(budget=0.3)", "near-optimal(budget=0.3, eps=0.01)", "dual(alpha=0.1)"]
    batched.append("nudging(alpha=0.1)")
    alone = [*batched[:3], "exact(budget=0.3)", *batched[3:]]
    shown = [(run["name"], run["batch"], run["n_rows"]) for run in answer["runs"]]
    assert shown == [*((name, 1, 3) for name in alone), *((name, 3, 3) for name in batched)]
    for run in answer["runs"]:
        sort = next(each for each in answer["runs"] if (each["name"], each["batch"]) == ("torch.sort", run["batch"]))
        assert 0 < run["ms_per_row"] <= run["worst_ms_per_row"]
        assert run["times_as_fast"] == pytest.approx(sort["ms_per_row"] / run["ms_per_row"])


def test_the_rules_are_timed_on_recorded_rows(command, tmp_path):
    """Fails when a file of rows is not read, or its size is not what the table says."""
    place = np.arange(4)
    np.savez(tmp_path / "rows.npz", p=np.full((4, 300), 1 / 300), text=place, position=place)
    code, out, _ = command("bench", "rules", "--rows", tmp_path / "rows.npz", "--batch", 2, "--repeats", 1)
    assert code == 0
    assert f"300 tokens a row, {tmp_path / 'rows.npz'}; cpu, 1 thread" in out
    code, out, err = command("bench", "rules", "--batch", 0)
    assert (code, out) == (2, "")
    assert "vocabulary, batch, repeats and threads must be at least 1" in err


def test_a_stop_string_ends_what_is_measured():
    """Fails when a reply that runs on into a next question counts as speed, whoever decodes."""
    field = [
        BASE_ALONE,
        Contestant(rules.Dual(0.4), "speculative", 2),
        Contestant(rules.Never(), engine=TRANSFORMERS),
        Contestant(rules.Never(), "speculative", 2, engine=ASSISTED),
    ]
    pair, asked = load_pair("lab"), {"max_new_tokens": 20, "n_resamples": 2}
    on, ended = (
        measure(pair, ["The capital of", "Once upon a time"], field, **asked, stop=stop)["runs"]
        for stop in ((), (" the", "\n"))
    )
    assert all(short["n_tokens"] < long["n_tokens"] for short, long in zip(ended, on, strict=True))
