"""What is recorded of the pair gemma-smol: every way is there, and the numbers are those of what was decoded."""

import json
from pathlib import Path

import pytest

from analysis.experiments import real_pair

RECORD = Path(__file__).parent.parent.parent / "analysis" / "recorded" / "real_pair.json"


@pytest.fixture(scope="module")
def record():
    return json.loads(RECORD.read_text())


def test_every_way_is_recorded(record):
    """Fails when a rule, a mode or a parent is left out of the record."""
    assert [run["name"] for run in record["runs"]] == [str(way) for way in real_pair.cells()]
    assert record["settings"]["questions"] == {"gsm8k": 40, "ifeval": 40}
    assert "no giant" in record["note"]


def test_the_rules_spend_what_they_may(record):
    """Fails when rates are summed over the wrong tokens: a budget bounds the mass of each step, and so the mean."""
    for run in record["runs"]:
        assert run["tokens_per_second"] == pytest.approx(run["n_tokens"] / run["seconds"])
        if run["rule"] == "primal":
            assert run["deferral_rate"] <= run["parameters"]["budget"] + 1e-6
        if run["rule"] in ("never", "always"):
            assert run["deferral_rate"] == pytest.approx(float(run["rule"] == "always"))
        assert (run["acceptance_rate"] is None) == (run["mode"] == "autoregressive")
    stepped = [run for run in record["runs"] if run["mode"] == "autoregressive"]
    rates = [run["deferral_rate"] for run in stepped if run["rule"] == "dual"]
    assert rates == sorted(rates)


def test_the_table_shows_all_of_it(record):
    """Fails when a way has no line, or the ratio of two modes is not theirs."""
    lines = real_pair._table(record["runs"], record["alone"]["runs"]).splitlines()
    assert len(lines) == 2 + len(record["runs"]) + len(record["alone"]["runs"])
    speeds = {run["name"]: run["tokens_per_second"] for run in record["runs"]}
    step, drafted = (speeds[f"dual(alpha=0.15) {mode}"] for mode in ("autoregressive", "speculative"))
    assert f"{drafted / step:.2f}" in next(line for line in lines if line.startswith("dual(alpha=0.15) speculative"))


def test_without_benchmark_files_the_shipped_questions_are_asked():
    """Fails when `make real` needs files that a user does not have."""
    ((task, asked),) = real_pair.prompts(None, 3).items()
    assert task == "lab-math"
    assert len(asked) == 3
