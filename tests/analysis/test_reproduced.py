"""What was reproduced is told number by number; speeds, which are other ones in every run, are shown in pairs."""

import copy

import pytest

from analysis.experiments.record_runs import COLUMNS
from analysis.reproduced import compare

RUN = dict.fromkeys(COLUMNS["runs"]) | {
    "grid": "some", "task": "lab-math", "split": "test", "mode": "autoregressive", "temperature": 1.0, "rule": "dual",
    "variant": "", "parameter": 0.4, "chosen": True, "n": 8, "accuracy": 0.75, "tokens_per_second": 31.0,
    "records_sha256": "00", "measures": [{"name": "acc_norm", "value": 0.5, "low": None, "high": None, "n": 8}],
}  # fmt: skip
STEP = dict.fromkeys(COLUMNS["knapsack"]) | {name: RUN[name] for name in COLUMNS["knapsack"] if name in RUN}
SPEED = {
    "task": "lab-math", "engine": "proxyalign", "mode": "speculative", "window": 5, "rule": "dual", "variant": "",
    "parameter": 0.4, "speedup": 1.52, "speedup_low": 1.4, "speedup_high": 1.6, "n_tokens": 90,
    "acceptance_rate": 0.8, "tokens_per_cycle": 4.0,
}  # fmt: skip
RECORD = {"runs": [RUN], "knapsack": [STEP | {"gap.point": 1e-17, "value": 2.5}], "speed": [SPEED]}
CALLED = "some lab-math test autoregressive 1.0 dual 0.4"
N_NUMBERS = 2 + 2 + 2 + 3  # of the run, its measure, the step and the contest


def changed(part, **others):
    record = copy.deepcopy(RECORD)
    record[part][0] |= others
    return record


def test_equal_records_are_equal_in_all_their_numbers():
    """Fails where a name or a key is counted as a number, or one of a measure is not."""
    found = compare(RECORD, RECORD)
    assert (found.n_numbers, found.n_equal, found.differing) == (N_NUMBERS, N_NUMBERS, [])


@pytest.mark.parametrize(
    ("part", "others"),
    [
        ("runs", {"tokens_per_second": 99.0, "records_sha256": "01"}),
        ("runs", {"accuracy": 0.75 + 1e-9}),
        ("knapsack", {"gap.point": -2e-16}),
        ("speed", {"speedup": 3.0, "speedup_low": 2.0, "speedup_high": 4.0}),
    ],
)
def test_what_a_clock_or_the_order_of_a_sum_decides_does_not_differ(part, others):
    """Fails where another machine could never reproduce anything."""
    assert compare(changed(part, **others), RECORD).differing == []


@pytest.mark.parametrize(
    ("part", "others", "line"),
    [
        ("runs", {"accuracy": 0.76}, f"{CALLED}, accuracy: 0.76, recorded 0.75"),
        ("runs", {"accuracy": None}, f"{CALLED}, accuracy: none, recorded 0.75"),
        ("knapsack", {"value": 2.50001}, f"{CALLED}, value: 2.50001, recorded 2.5"),
        ("speed", {"n_tokens": 91}, "lab-math proxyalign speculative 5 dual 0.4, n_tokens: 91, recorded 90"),
    ],
)
def test_a_number_that_differs_is_told_with_both_its_values(part, others, line):
    """Fails where a result that is not the recorded one passes for reproduced."""
    found = compare(changed(part, **others), RECORD)
    assert found.differing == [line]
    assert (found.n_numbers, found.n_equal) == (N_NUMBERS, N_NUMBERS - 1)


def test_a_run_on_one_side_alone_differs_in_each_of_its_numbers():
    """Fails where a run that is missing, or that nobody recorded, is passed over."""
    for pair in ((RECORD, changed("runs", parameter=0.5)), (changed("runs", parameter=0.5), RECORD)):
        assert len(compare(*pair).differing) == 2 * 4  # its own numbers and its measure's, once for each of the runs


def test_a_part_that_was_never_recorded_is_not_compared():
    """Fails where records that keep the runs alone tell every knapsack as missing."""
    assert compare(RECORD, {"runs": [RUN]}).differing == []


def test_each_speed_stands_beside_the_recorded_one():
    """Fails where one has to look for what the recorded machine did."""
    other = {**SPEED, "engine": "transformers", "rule": "never", "parameter": None, "mode": "assisted"}
    slower = RECORD | {"speed": [{**SPEED, "speedup": 1.1}, other]}
    assert compare(slower, RECORD).speeds == [
        ("speed over the base alone", "lab-math speculative", "lab-math one by one"),
        ("dual 0.4", "1.10 (1.52)", ""),
        ("transformers", "", "1.52 (none)"),
    ]
