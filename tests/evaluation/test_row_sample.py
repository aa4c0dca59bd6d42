"""The sample of visited rows is uniform, and the same one whatever the order and the interruptions."""

import numpy as np
import pytest

from proxyalign.errors import InputError
from proxyalign.evaluation.row_sample import RowSample


def visits(n_questions=12, seed=0):
    random = np.random.default_rng(seed)
    return {
        index: random.dirichlet(np.ones(5), size=random.integers(1, 9)).astype(np.float32)
        for index in range(n_questions)
    }


def masses(rows):
    """What was deferred at each row, as far as a row tells it from the others."""
    return rows[:, 0].astype(np.float64) / 2


def load(path):
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def test_order_and_interruptions_leave_no_trace_in_the_sample(tmp_path):
    """Fails for a reservoir that draws as it goes, whose choice depends on what it saw before."""
    seen = visits()
    straight = RowSample(tmp_path / "a.npz", 15, seed=3)
    for index, rows in seen.items():
        straight.offer(index, range(len(rows)), rows, masses(rows))
    straight.save()
    for index in [*range(6), 4, 5, *reversed(range(12))]:  # again and again, from the file each time
        sample = RowSample(tmp_path / "b.npz", 15, seed=3)
        sample.offer(index, range(len(seen[index])), seen[index], masses(seen[index]))
        sample.save()
    first, second = load(tmp_path / "a.npz"), load(tmp_path / "b.npz")
    assert first["p"].shape == (15, 5)
    assert first["p"].dtype == np.float32
    for name in ("p", "mass", "question", "position"):
        np.testing.assert_array_equal(first[name], second[name])


def test_what_is_not_wanted_would_not_have_been_kept(tmp_path):
    """Fails when a run throws away a law that belongs to the sample, or keeps all of them until it is asked."""
    seen, n_offered = visits(60), 0
    straight, choosy = (RowSample(tmp_path / name, 15, seed=3) for name in ("a.npz", "b.npz"))
    for index, rows in seen.items():
        straight.offer(index, range(len(rows)), rows, masses(rows))
        positions = [at for at in range(len(rows)) if choosy.wants(index, at)]
        n_offered += len(positions)
        choosy.offer(index, positions, rows[positions], masses(rows)[positions])
        choosy.save()
        choosy = RowSample(tmp_path / "b.npz", 15, seed=3)
    straight.save()
    first, second = load(tmp_path / "a.npz"), load(tmp_path / "b.npz")
    for name in ("p", "mass", "question", "position"):
        np.testing.assert_array_equal(first[name], second[name])
    assert n_offered < 0.5 * sum(map(len, seen.values()))


def test_each_row_says_where_it_comes_from(tmp_path):
    """Fails when rows and places fall out of step."""
    seen = visits()
    sample = RowSample(tmp_path / "rows.npz", 20, seed=0)
    for index, rows in seen.items():
        sample.offer(index, range(len(rows)), rows, masses(rows))
    sample.save()
    stored = load(tmp_path / "rows.npz")
    places = list(zip(stored["question"].tolist(), stored["position"].tolist(), strict=True))
    assert places == sorted(set(places))
    for row, (question, position) in zip(stored["p"], places, strict=True):
        np.testing.assert_array_equal(row, seen[question][position])
    np.testing.assert_array_equal(stored["mass"], masses(stored["p"]))


def test_fewer_rows_than_asked_for_are_all_kept(tmp_path):
    """Fails when the sample pads, repeats or loses rows."""
    seen = visits(3)
    sample = RowSample(tmp_path / "rows.npz", 1000, seed=0)
    for index, rows in seen.items():
        sample.offer(index, range(len(rows)), rows, masses(rows))
    sample.save()
    np.testing.assert_array_equal(load(tmp_path / "rows.npz")["p"], np.concatenate(list(seen.values())))


def test_every_visited_row_is_as_likely_to_be_kept(tmp_path):
    """Fails for a sample that favours early or late rows: 400 seeds, 10 of 40 rows; |z| < 4.5 for all (odds 3e-4)."""
    seen = {index: np.full((8, 2), 0.5, dtype=np.float32) for index in range(5)}
    counts = np.zeros((5, 8))
    for seed in range(400):
        sample = RowSample(tmp_path / "none.npz", 10, seed=seed)
        for index, rows in seen.items():
            sample.offer(index, range(len(rows)), rows, masses(rows))
        for place in sample._kept:
            counts[place] += 1
    assert np.abs((counts - 100) / np.sqrt(400 * 0.25 * 0.75)).max() < 4.5


def test_another_file_is_refused_and_left_alone(tmp_path):
    """Fails when a damaged sample is silently started again."""
    path = tmp_path / "rows.npz"
    path.write_bytes(b"PK not really")
    with pytest.raises(InputError, match="must hold the visited rows"):
        RowSample(path, 3, seed=0)
    assert path.read_bytes() == b"PK not really"
