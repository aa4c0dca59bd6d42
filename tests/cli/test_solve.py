"""`proxyalign solve`: its JSON, its sentences, and what its clock leaves out."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from proxyalign.knapsack import OptimalityCertificate

KEYS = ["method", "value", "mass", "upper_bound", "is_optimal", "n_deferred", "seconds"]


@pytest.fixture(scope="module")
def step(tmp_path_factory):
    """A next-token law of 49,152 tokens in float32, as a model's softmax would give it: Zipf, shuffled."""
    law = 1.0 / np.arange(1, 49_153) ** 1.1
    path = tmp_path_factory.mktemp("laws") / "p.npy"
    np.save(path, np.random.default_rng(0).permutation(law / law.sum()).astype(np.float32))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Five tokens, of which the greedy prefix is not the best set at a budget of 0.56."""
    path = tmp_path_factory.mktemp("laws") / "small.npy"
    np.save(path, np.array([0.3, 0.25, 0.2, 0.15, 0.1]))
    return path


def answer(command, *options):
    code, out, err = command("solve", *options, "--json")
    assert code == 0, err
    assert out.count("\n") == 1
    assert list(json.loads(out)) == KEYS
    return json.loads(out), err


@pytest.mark.parametrize("budget", [0.05, 0.1, 0.5])
def test_a_full_vocabulary_is_solved_and_proved(command, step, budget):
    """Fails when exact is not certified, spends more than the budget, loses to primal, or its clock counts more."""
    start = time.perf_counter()
    exact, _ = answer(command, "--probs", step, "--budget", budget, "--method", "exact")
    assert 0.0 < exact["seconds"] < time.perf_counter() - start
    primal, _ = answer(command, "--probs", step, "--budget", budget, "--method", "primal")
    near, _ = answer(command, "--probs", step, "--budget", budget, "--method", "near-optimal", "--eps", 0.001)
    assert exact["is_optimal"]
    assert exact["mass"] <= budget
    assert primal["value"] <= exact["value"] <= exact["upper_bound"] <= primal["upper_bound"]
    assert 0.999 * exact["value"] <= near["value"] <= exact["value"]
    assert exact["value"] <= near["upper_bound"] <= primal["upper_bound"]


def test_dual_says_where_its_set_spends_more_than_the_budget(command, small):
    """Fails when a set over the budget goes without a word, or one within it is complained about."""
    over, warning = answer(command, "--probs", small, "--budget", 0.3, "--method", "dual", "--alpha", 0.22)
    assert (over["n_deferred"], over["mass"], over["is_optimal"]) == (3, 0.45, True)
    assert "0.45" in warning
    assert "more than the budget of 0.3" in warning
    within, silence = answer(command, "--probs", small, "--budget", 0.7, "--method", "dual", "--alpha", 0.22)
    assert (within["value"], silence) == (over["value"], "")


def test_the_reader_gets_the_answer_first_with_units(command, small):
    """Fails when a number has no unit, or a proof is claimed that there is not."""
    code, out, err = command("solve", "--probs", small, "--budget", 0.56, "--method", "exact")
    first, proof, clock = out.splitlines()
    assert (code, err) == (0, "")
    assert first.startswith("exact: defer 3 of 5 tokens")
    assert "nats" in first
    assert "mass 0.55" in first
    assert "proved" in proof
    assert " s" in clock
    assert "not proved" in command("solve", "--probs", small, "--budget", 0.56, "--method", "primal")[1]


def test_the_proof_is_written_down_for_others_to_check(command, small, tmp_path):
    """Fails when the certificate is of another problem, or an old one is written over."""
    file = tmp_path / "proof.json"
    options = ("--probs", small, "--budget", 0.56, "--certificate", file)
    solution, _ = answer(command, *options)
    verdict = OptimalityCertificate.from_json(file.read_text()).check()
    assert verdict
    assert float(verdict.value) == solution["value"]
    code, out, err = command("solve", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "must be a new file" in err


def test_the_oracle_agrees_and_leaves_stdout_to_the_answer(command, small):
    """Fails when the solver's greeting, which compiled code prints, reaches stdout before the JSON."""
    pytest.importorskip("cvxpy")
    options = ["--probs", str(small), "--budget", "0.56", "--json"]
    exact = json.loads(command("solve", *options, "--method", "exact")[1])
    run = [sys.executable, "-c", "from proxyalign.cli import main; main()", "solve", *options, "--method", "oracle"]
    ended = subprocess.run(run, capture_output=True, text=True)
    assert json.loads(ended.stdout)["value"] == exact["value"]
    assert "oracle (HIGHS: optimal)" in ended.stderr


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        (("--method", "dual", "--budget", "0.3"), ("--alpha", "[0, 1]")),
        (("--method", "exact", "--budget", "0.3", "--alpha", "0.2"), ("--alpha", "exact", "drop it")),
        (("--method", "exact"), ("--budget", "[0, 1]")),
        (("--method", "near-optimal"), ("--budget", "[0, 1]")),
        (("--method", "near-optimal", "--budget", "0.3", "--eps", "1"), ("--eps", "below 1")),
        (("--method", "exact", "--budget", "0.3", "--eps", "0.1"), ("--eps", "exact", "drop it")),
        (("--method", "exact", "--budget", "0.3", "--time-limit", "nan"), ("--time-limit", "above 0", "nan")),
        (("--method", "primal", "--budget", "0.3", "--certificate", "c.json"), ("--certificate", "primal", "drop it")),
        (("--method", "exact", "--budget", "0.3", "--certificate", "/none/c.json"), ("--certificate", "/none/c.json")),
    ],
)
def test_options_that_do_not_belong_together_end_in_one_sentence(command, small, options, fragments):
    """Fails when an option is silently ignored or silently missing."""
    code, out, err = command("solve", "--probs", small, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    for fragment in fragments:
        assert fragment in err
