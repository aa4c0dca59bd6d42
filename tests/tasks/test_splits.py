"""The splits of a benchmark with one file: fixed by each row alone, disjoint, and none of them empty without a word."""

import pytest

from proxyalign.errors import InputError
from proxyalign.tasks.splits import SPLITS, is_dev, part_of


def test_dev_and_held_out_are_disjoint_and_make_up_test():
    """Fails when a question that a parameter was chosen on is among those that it is reported on, or one is lost."""
    rows = [f"row {number}" for number in range(1000)]
    parts = {split: part_of("task", split, rows, str) for split in SPLITS}
    assert parts["test"] == rows
    assert sorted(parts["dev"] + parts["held-out"]) == sorted(rows)
    assert parts["dev"] == sorted(parts["dev"], key=rows.index)
    assert 160 <= len(parts["dev"]) <= 240  # a fifth, give or take three standard deviations


def test_a_part_of_a_file_is_split_as_the_whole_is():
    """Fails when the split depends on a row's place, or on the process."""
    rows = [f"row {number}" for number in range(100)]
    dev = set(part_of("task", "dev", rows, str))
    assert set(part_of("task", "dev", rows[:30:-1], str)) == dev - set(rows[:31])
    assert [number for number in range(20) if is_dev(f"chal-{number}")] == [5, 7, 8, 10, 16]


def test_a_split_without_a_row_is_told():
    """Fails when parameters would be chosen on no question at all."""
    assert part_of("task", "test", ["chal-1"], str) == ["chal-1"]
    with pytest.raises(InputError, match="must have a question, got none among 1 rows; pass"):
        part_of("task", "dev", ["chal-1"], str)
