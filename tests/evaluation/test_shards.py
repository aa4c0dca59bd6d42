"""Shards join to the run that they are parts of, byte for byte but for clocks, and nothing else joins."""

import dataclasses
import json
import re
import shutil

import pytest

from proxyalign.errors import InputError
from proxyalign.evaluation import Settings, merge, run_grid
from proxyalign.evaluation.merging import shards_of
from proxyalign.evaluation.shards import Shard

CLOCKS = re.compile(rb'"(seconds|tokens_per_second)": [0-9.e-]+')


def contents(folder):
    """Every file of a results folder but its shards, without what a clock says."""
    files = [path for path in folder.rglob("*") if path.is_file() and "shard-" not in str(path.relative_to(folder))]
    return {str(path.relative_to(folder)): CLOCKS.sub(b"", path.read_bytes()) for path in files}


@pytest.fixture(scope="module")
def lab():
    from proxyalign.models import load_pair

    return load_pair("lab")


@pytest.fixture
def grid():
    common = {"pair": "lab", "task": "lab-math", "task_version": 1, "rule": "dual", "max_new_tokens": 5, "rows": 11}
    return [Settings(**common, limit=22, seed=3, parameters={"alpha": alpha}) for alpha in (0.1, 0.4)]


@pytest.mark.parametrize(("n", "batch_size"), [(3, 4), (4, 7)])
def test_merged_shards_are_the_single_run_byte_for_byte(tmp_path, lab, grid, n, batch_size):
    """Fails when a shard has other seeds, batches or rows than the single run, or the table is another one.

    Of 22 questions in batches of 4 each shard has whole batches; in batches of 7, of which there are as many as shards,
    the last is short.
    """
    single = run_grid(lab, grid, tmp_path / "single", batch_size=batch_size)
    for number in reversed(range(1, n + 1)):
        run_grid(lab, grid, tmp_path / "parts", batch_size=batch_size, shard=f"{number}/{n}")
    merged = merge(shards_of(tmp_path / "parts"), tmp_path / "parts", grid=grid)
    assert contents(tmp_path / "parts") == contents(tmp_path / "single")
    assert merged["runs"][0]["n"] == 22
    assert CLOCKS.sub(b"", json.dumps(merged).encode()) == CLOCKS.sub(b"", json.dumps(single).encode())


def test_more_shards_than_batches_share_these(tmp_path, lab, grid):
    """Fails when a batch that two shards have a part in is answered without the other's questions."""
    run_grid(lab, grid[:1], tmp_path / "single", batch_size=16)
    for number in (1, 2, 3):
        run_grid(lab, grid[:1], tmp_path / "parts", batch_size=16, shard=f"{number}/3")
    merge(shards_of(tmp_path / "parts"), tmp_path / "parts")
    assert contents(tmp_path / "parts") == contents(tmp_path / "single")


def test_merging_again_changes_nothing_and_the_run_can_go_on_as_a_single_one(tmp_path, decoder, pair, settings, data):
    """Fails when a second merge is refused, or a merged folder is another's than the same command's without shards."""
    out = tmp_path / "out"
    for shard in ("1/2", "2/2"):
        run_grid(pair, [settings], out, data=data, batch_size=3, shard=shard)
    merge(shards_of(out), out)
    before, n_calls = contents(out), decoder.n_calls
    merge(shards_of(out), out)
    run_grid(pair, [settings], out, data=data)
    assert contents(out) == before
    assert decoder.n_calls == n_calls == 4


def test_a_shard_makes_ids_of_its_own_batches_alone(tmp_path, decoder, pair, settings, data):
    """Fails when each of many shards pays for the prompts of all, or leaves out what is answered with its own."""
    encode, read = pair.encode, []
    pair.encode = lambda text: read.append(text) or encode(text)
    for batch_size, n_read in (
        (3, 3),
        (8, 8),
    ):  # questions 3 to 5, whole batch; and of the first batch, questions 3 to 5
        read.clear()
        run_grid(pair, [settings], tmp_path / str(batch_size), data=data, batch_size=batch_size, shard="2/3")
        assert len(read) == n_read


@pytest.mark.parametrize("size", [1, 3, 4, 16])
@pytest.mark.parametrize("n", [1, 2, 5, 16, 23])
def test_the_parts_are_all_questions_once_in_whole_batches(n, size):
    """Fails when a question falls between two shards, a shard is empty, or a batch is cut without need."""
    for of in range(1, n + 1):
        parts = [Shard(number, of).part(n, size) for number in range(1, of + 1)]
        assert [index for part in parts for index in part] == list(range(n))
        assert all(parts)
        if of <= -(-n // size):
            assert all(part.start % size == 0 for part in parts)


@pytest.mark.parametrize("text", ["2", "0/3", "4/3", "1/0", "a/b", "1/2/3", "-1/2", "1.0/2", ""])
def test_no_part_is_refused_in_a_sentence(text):
    """Fails when a slip of the pen runs all questions, or none."""
    with pytest.raises(InputError, match="shard must be i/n"):
        Shard.parse(text)


def test_a_shard_without_a_question_is_refused(tmp_path, decoder, pair, settings, data):
    """Fails when an empty shard claims a folder that can never be merged."""
    with pytest.raises(InputError, match="leave each part a question, got 3/11 of 10 questions; make at most 10"):
        run_grid(pair, [settings], tmp_path / "out", data=data, shard="3/11")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def parts(tmp_path, decoder, pair, settings, data):
    """Three finished shards of ten questions in batches of 2, and how to run one of them again otherwise."""

    def shard(number, *, batch_size=2, of=3, **changes):
        grid = [dataclasses.replace(settings, **changes)]
        run_grid(pair, grid, tmp_path / "out", data=data, batch_size=batch_size, shard=f"{number}/{of}")

    for number in (1, 2, 3):
        shard(number)
    return shard


def again(out, number):
    shutil.rmtree(out / f"shard-{number}-of-3")
    return number


def test_a_missing_a_doubled_and_an_unfinished_shard_are_told(tmp_path, parts):
    """Fails when a table of a part of the questions passes for the whole."""
    out = tmp_path / "out"
    second, copy = out / "shard-2-of-3", out / "shard-2-of-3-copy"
    shutil.copytree(second, copy)
    with pytest.raises(InputError, match="shard 2/3 must be there once, got 2; leave out the others"):
        merge(shards_of(out), out)
    shutil.rmtree(copy)
    (second / "summary.json").unlink()
    with pytest.raises(InputError, match=r"must be finished, got no summary\.json in it; run it to its end"):
        merge(shards_of(out), out)
    again(out, 2)
    with pytest.raises(InputError, match="shard 2/3 must be there once, got none; run it with --shard 2/3"):
        merge(shards_of(out), out)
    parts(2)
    path = next(second.glob("*/records.jsonl"))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]) + b'{"index"')
    with pytest.raises(InputError, match=r"records\.jsonl must hold 4 records, got 3; run it to its end"):
        merge(shards_of(out), out)
    parts(2)
    assert not (out / "summary.json").exists()
    assert merge(shards_of(out), out)["runs"][0]["n"] == 10


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seed": 6}, "shards must be of one run, got seed 5 there and 6 here"),
        ({"window": 3}, "got window 5 there and 3 here"),
        ({"of": 4}, 'got shard "of 3" there and "of 4" here'),
        ({"batch_size": 5}, "run all shards with one --batch-size"),
    ],
)
def test_shards_of_other_settings_do_not_join(tmp_path, parts, change, complaint):
    """Fails when one table holds two runs, or a question twice."""
    out = tmp_path / "out"
    parts(again(out, 2), **change)
    with pytest.raises(InputError, match=complaint):
        merge(shards_of(out), out)
    assert not (out / "settings.json").exists()


def test_other_settings_than_asked_for_and_other_records_are_refused(tmp_path, parts, pair, settings, data):
    """Fails when `--merge` with another command's options tells of this one's, or replaces records."""
    out = tmp_path / "out"
    with pytest.raises(InputError, match="made with other settings, got seed 5 there and 6 here"):
        merge(shards_of(out), out, grid=[dataclasses.replace(settings, seed=6)])
    with pytest.raises(InputError, match="must hold shards, got none"):
        shards_of(tmp_path / "none")
    run_grid(pair, [settings], tmp_path / "single", data=data)
    with pytest.raises(InputError, match="must hold what the shards say or nothing, got other records"):
        merge(shards_of(out), tmp_path / "single")
    with pytest.raises(InputError, match="must be the folder of a shard, got no settings"):
        merge([*shards_of(out), tmp_path / "single"], tmp_path / "new")
    assert not (tmp_path / "new").exists()
