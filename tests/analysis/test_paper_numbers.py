"""The paper's numbers come from results alone, and a missing result stops the build."""

import re
from pathlib import Path

import pytest

from analysis.experiments.latex_tables import accuracy_table, find, gap_table, percent, speed_table
from analysis.experiments.paper_numbers import (
    accuracy_numbers,
    macros,
    margin,
    optimality_numbers,
    speed_numbers,
)

PAPER = Path(__file__).parent.parent.parent / "paper"
PARAMETERS = {"dual": 0.4, "primal": 0.9, "exact": 0.5, "nudging": 0.4, "truncated-dual": 0.1, "truncated-primal": 0.9}


def _runs():
    """Two tasks, every rule once; the dual is right on .8 of 100, everything else on .2."""
    runs = []
    for task in ("lab-facts", "lab-math"):
        for rule in ("never", "always", *PARAMETERS):
            share = 0.8 if rule == "dual" else 0.2
            row = {
                "task": task, "split": "test", "mode": "autoregressive", "temperature": 1.0, "rule": rule,
                "parameter": PARAMETERS.get(rule), "chosen": rule in ("dual", "primal", "exact", "nudging"), "n": 100,
                "accuracy": share, "standard_error": 0.04, "strict_accuracy": share / 2, "deferral_rate": 0.1,
            }  # fmt: skip
            runs.append(row)
    return runs


def _knapsack():
    rows = []
    for rule in ("dual", "primal", "exact", "nudging"):
        for task in ("lab-facts", "lab-math"):
            measures = {"gap": 0.1 if rule == "primal" else 0.0, "price": 0.2}
            ends = {f"{name}.{end}": measures[name] for name in measures for end in ("point", "low", "high")}
            rows.append(
                {
                    "task": task, "rule": rule, "parameter": PARAMETERS[rule], "temperature": 1.0, "n_steps": 1000,
                    "n_certified": 1000, "n_asked": 100, "n_derived": 99, "mass": 70.0, "median_milliseconds": 0.5,
                    "worst_milliseconds": 20.0, **ends,
                }
            )  # fmt: skip
    return rows


def _speed():
    row = {
        "rule": "dual",
        "parameter": 0.4,
        "temperature": 1.0,
        "window": 5,
        "acceptance_rate": 0.9,
        "engine": "proxyalign",
        "predicted_speedup_at_cost": 2.2,
    }
    return [
        {**row, "task": task, "mode": mode, "speedup": 2.0, "speedup_low": 1.9, "speedup_high": 2.1}
        for task in ("lab-facts", "lab-math")
        for mode in ("autoregressive", "speculative")
    ]


def test_every_number_that_the_paper_uses_is_generated():
    """Fails where the paper uses a command that no result stands behind, or a result is typed by hand as a command."""
    runs = _runs()
    numbers = (
        accuracy_numbers(runs) | optimality_numbers(_knapsack(), _knapsack()) | speed_numbers(runs, _speed())
    )  # fmt: skip
    text = "".join(path.read_text() for path in PAPER.glob("*.tex"))
    defined = set(re.findall(r"\\newcommand\{\\(\w+)\}", text))
    used = set(re.findall(r"\\((?:Facts|Math|Exact|Largest|Solved|Certified|Median|Worst|Speed)[A-Za-z]*)", text))
    assert used
    assert used <= numbers.keys()
    assert not defined & numbers.keys()


def test_numbers_are_read_off_the_results():
    """Fails where a mean, a maximum or a unit is wrong: percent, one decimal, the standard error in brackets."""
    numbers = accuracy_numbers(_runs()) | optimality_numbers(_knapsack(), _knapsack())
    assert numbers["MathDual"] == "80.0 (4.0)"
    assert numbers["MathDualParameter"] == "0.4"
    assert numbers["FactsBestParent"] == numbers["FactsBestControl"] == "20.0 (4.0)"
    assert numbers["FactsDualMargin"] == "10.6"  # .6 / (.04 sqrt 2)
    assert numbers["LargestPrimalGap"] == "10.0"
    assert numbers["SolvedSteps"] == "8\\,000"


@pytest.mark.parametrize("gone", [("never", "always"), ("dual",), ("nudging",)], ids="-".join)
def test_a_missing_result_stops_the_build(gone):
    """Fails where the paper would be built around a hole."""
    with pytest.raises(LookupError, match=r"paper: .* must"):
        accuracy_numbers([run for run in _runs() if run["rule"] not in gone])


@pytest.mark.parametrize("table", [gap_table, speed_table, lambda rows: accuracy_table(rows, rows)])
def test_an_empty_table_stops_the_build(table):
    """Fails where LaTeX would set a table without rows."""
    with pytest.raises(LookupError, match="at least one row"):
        table([])


def test_a_result_that_is_there_twice_is_refused():
    """Fails where the first of two runs would be taken silently."""
    with pytest.raises(LookupError, match="got 2"):
        find(_runs() + _runs(), task="lab-math", rule="dual")


def test_the_accuracy_table_shows_both_seeds_and_marks_what_was_chosen():
    """Fails where a column is read from the wrong seed; a run that the second seed lacks is a dash."""
    second = [{**run, "accuracy": 0.7} for run in _runs() if run["rule"] == "dual"]
    lines = accuracy_table(_runs(), second).splitlines()
    dual = next(line for line in lines if line.startswith("dual"))
    assert dual.count("80.0$^\\star$ (4.0)") == 2
    assert dual.count("70.0$^\\star$ (4.0)") == 2
    assert next(line for line in lines if line.startswith("base alone")).count(" -- ") == 2


def test_a_margin_is_in_standard_errors_of_the_difference():
    """Fails where the error of only one side is counted."""
    better, worse = {"accuracy": 0.5, "standard_error": 0.03}, {"accuracy": 0.4, "standard_error": 0.04}
    assert margin(better, worse) == pytest.approx(2.0)


def test_a_share_below_rounding_has_no_minus():
    """Fails where -1e-17 is printed as -0.0."""
    assert percent(-1e-17) == "0.0"
    assert percent(-0.01) == "-1.0"


def test_macros_have_letters_alone():
    """Fails where LaTeX would end a command's name at a digit."""
    text = macros(accuracy_numbers(_runs()))
    names = re.findall(r"newcommand\{\\(.*?)\}", text)
    assert names
    assert all(name.isalpha() for name in names)
