"""Runs go on where they stopped, equal an uninterrupted run record for record, and never mix with another's."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.evaluation import read_records, run, run_grid, summarise


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_time(records):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def test_a_run_records_each_question_once_and_summarises_them(tmp_path, decoder, pair, settings, data):
    """Fails when a question is skipped, asked twice or recorded in another place."""
    done = []
    out, tell = tmp_path / "out", lambda _, *counts: done.append(counts)
    summary = run(pair, settings, out, data=data, batch_size=4, progress=tell)
    records = read_records(out / settings.slug / "records.jsonl")
    assert decoder.asked == [(0, 4), (4, 4), (8, 2)]
    assert [record["id"] for record in records] == [f"test-{n}" for n in range(1, 11)]
    assert done == [(0, 10), (4, 10), (8, 10), (10, 10)]
    assert summary == summarise(records)
    assert summary.seconds == pytest.approx(3 * 0.25)
    assert all(record["correct"] == (record["extracted"] == str(n + 1)) for n, record in enumerate(records))
    wanted = "index id prompt_sha256 reply extracted correct strict n_tokens seconds deferral_mass n_tested n_accepted "
    wanted += "n_cycles rule parameters mode window temperature seed task task_version split pair version commit"
    assert set(wanted.split()) <= records[0].keys()


def test_what_a_reply_drafted_is_what_its_trace_says(tmp_path, decoder, pair, settings, data):
    """Fails when a run counts drafts or cycles of its own."""
    summary = run(pair, dataclasses.replace(settings, mode="speculative", rows=0), tmp_path, data=data)
    assert summary.acceptance_rate == pytest.approx(2 / 3)
    assert summary.mean_accepted_length == 2


def test_a_reply_ends_where_the_scorer_stops_reading(tmp_path, decoder, pair, settings, data):
    """Fails when a run pays for a next question, or another stop string goes on with its records."""
    run(pair, settings, tmp_path, data=data)
    assert decoder.stops == {("Question:",)}
    folder = tmp_path / settings.slug
    found = json.loads((folder / "settings.json").read_text())
    assert found["stop"] == ["Question:"]
    (folder / "settings.json").write_text(json.dumps(found | {"stop": []}))
    with pytest.raises(InputError, match="other settings, got stop"):
        run(pair, settings, tmp_path, data=data)


@pytest.mark.parametrize("name", tasks.NAMES)
def test_no_score_reads_past_a_stop_string(name):
    """Fails when a task ends its replies before what it scores."""
    task = tasks.get(name)
    reference = '[["punctuation:no_comma", {}]]' if name.startswith("ifeval") else "7"
    question = tasks.Question("test-1", "", None, reference, choices=(" 7",), others=(" 8",))
    for stop in task.stop:
        for reply in ("Answer: in fact, 7.", "Steps: 3+4=7. Answer: 7.", " 3 + 4 = 7\n#### 7", "", "none"):
            went_on = f"{reply}\n{stop} what is 8?\nAnswer: 8.\n#### 8"
            cut = went_on[: went_on.index(stop) + len(stop)]
            assert task.score(question, went_on) == task.score(question, cut)


def test_a_prompt_without_room_for_its_reply_is_refused_before_anything_is_written(
    tmp_path, decoder, pair, settings, data
):
    """Fails when a run ends at its longest question after the others were paid for."""
    questions = tasks.get("gsm8k-0shot").questions(data=data)
    longest = max(len(pair.encode(question.prompt)) for question in questions)
    pair.context_of = lambda role: longest + settings.max_new_tokens
    run(pair, settings, tmp_path / "fits", data=data)
    pair.context_of = lambda role: longest + settings.max_new_tokens - 1
    for start in (run, lambda pair, settings, out, data: run_grid(pair, [settings], out, data=data)):
        with pytest.raises(InputError, match=f"got {longest} \\+ 256 for question test-10; lower max_new_tokens"):
            start(pair, settings, tmp_path / "out", data=data)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("killed_before", [0, 1, 2])
@pytest.mark.parametrize("cut", [0, 1, 60])
def test_a_killed_run_equals_an_uninterrupted_one(tmp_path, decoder, pair, settings, data, killed_before, cut):
    """Fails when a kill between batches, or in the middle of a line, loses or repeats a record, a seed or a row."""
    run(pair, settings, tmp_path / "straight", data=data, batch_size=4)
    decoder.n_calls, decoder.killed_before = 0, killed_before
    with pytest.raises(KeyboardInterrupt):
        run(pair, settings, tmp_path / "killed", data=data, batch_size=4)
    path = tmp_path / "killed" / settings.slug / "records.jsonl"
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) - cut])
    decoder.killed_before = None
    run(pair, settings, tmp_path / "killed", data=data, batch_size=3)
    straight = tmp_path / "straight" / settings.slug
    assert without_time(read_records(path)) == without_time(read_records(straight / "records.jsonl"))
    with np.load(straight / "rows.npz") as first, np.load(path.parent / "rows.npz") as second:
        assert len(first["p"]) == settings.rows
        assert all(np.array_equal(first[name], second[name]) for name in ("p", "question", "position"))


def test_a_finished_run_decodes_nothing_again(tmp_path, decoder, pair, settings, data):
    """Fails when the same command starts over."""
    first = run(pair, settings, tmp_path, data=data)
    before = contents(tmp_path)
    assert run(pair, settings, tmp_path, data=data) == first
    assert decoder.n_calls == 1
    assert contents(tmp_path) == before


def test_no_rows_are_kept_unless_asked_for(tmp_path, decoder, pair, settings, data):
    """Fails when a run pays for distributions that nobody wants."""
    settings = dataclasses.replace(settings, rows=0)
    run(pair, settings, tmp_path, data=data)
    assert not (tmp_path / settings.slug / "rows.npz").exists()


@pytest.mark.parametrize(
    "change", [{"window": 3}, {"max_new_tokens": 8}, {"limit": 3}, {"pair": "three"}, {"rows": 0}, {"split": "dev"}]
)
def test_a_folder_of_other_settings_is_refused_and_nothing_changes(tmp_path, decoder, pair, settings, data, change):
    """Fails when records of two settings could end in one file; these settings share a folder name."""
    (data / "gsm8k" / "train.jsonl").write_bytes((data / "gsm8k" / "test.jsonl").read_bytes())
    run(pair, settings, tmp_path / "out", data=data)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"made with other settings, got .*{next(iter(change))} .* there and .* here"):
        run(pair, dataclasses.replace(settings, **change), tmp_path / "out", data=data)
    assert contents(tmp_path) == before


def test_other_questions_and_other_weights_are_other_settings(tmp_path, decoder, pair, settings, data):
    """Fails when a new world or a retrained model goes on with the old one's records."""
    run(pair, settings, tmp_path / "out", data=data)
    with torch.no_grad():
        pair.proxy.weight[0, 0] += 1
    with pytest.raises(InputError, match="models"):
        run(pair, settings, tmp_path / "out", data=data)
    with torch.no_grad():
        pair.proxy.weight[0, 0] -= 1
    text = (data / "gsm8k" / "test.jsonl").read_text()
    (data / "gsm8k" / "test.jsonl").write_text(text.replace("How far", "How far away"))
    with pytest.raises(InputError, match="questions"):
        run(pair, settings, tmp_path / "out", data=data)


def test_another_task_version_and_lost_rows_are_refused(tmp_path, decoder, pair, settings, data):
    """Fails when scores of two versions mix, or a run goes on without the rows that its records belong to."""
    with pytest.raises(InputError, match=r"task_version of gsm8k-0shot must be .*, got 99; scores of two versions"):
        run(pair, dataclasses.replace(settings, task_version=99), tmp_path, data=data)
    run(pair, settings, tmp_path, data=data)
    (tmp_path / settings.slug / "rows.npz").unlink()
    with pytest.raises(InputError, match=r"rows\.npz must be there"):
        run(pair, settings, tmp_path, data=data)


@pytest.mark.parametrize("content", ["", "\n \n", '{"question": "q"}\n', '{"question": "q", "answer": "none"}\n'])
def test_a_file_that_cannot_be_asked_is_told_of_before_a_folder_is_claimed(
    tmp_path, decoder, pair, settings, data, content
):
    """Fails when the mended file meets a folder that was claimed for the broken one."""
    file = data / "gsm8k" / "test.jsonl"
    good = file.read_bytes()
    for start in (run, lambda pair, settings, out, data: run_grid(pair, [settings], out, data=data)):
        file.write_text(content)
        with pytest.raises(InputError, match=str(file)):
            start(pair, settings, tmp_path / "out", data=data)
        assert not (tmp_path / "out").exists()
    file.write_bytes(good)
    assert run_grid(pair, [settings], tmp_path / "out", data=data)["runs"][0]["n"] == 10


def test_a_split_without_a_question_and_a_prompt_without_a_token_are_refused(
    tmp_path, decoder, pair, settings, data, monkeypatch
):
    """Fails when a run of nothing is claimed, and told of when its records are summed up."""
    (data / "gsm8k" / "train.jsonl").write_bytes((data / "gsm8k" / "test.jsonl").read_bytes())
    pair.encode = lambda text: []
    with pytest.raises(InputError, match="prompt must hold at least one token, got none for question test-1"):
        run(pair, settings, tmp_path / "out", data=data)
    monkeypatch.setattr("proxyalign.tasks.gsm8k.Gsm8k.questions", lambda self, **request: [])
    with pytest.raises(InputError, match="must have a question in its split 'test', got none"):
        run(pair, settings, tmp_path / "out", data=data)
    assert not (tmp_path / "out").exists()


def test_questions_are_read_and_made_into_ids_once(tmp_path, decoder, pair, settings, data):
    """Fails when each run of a grid, each check or each batch makes the same prompts again."""
    encode, read = pair.encode, []
    pair.encode = lambda text: read.append(text) or encode(text)
    pair.context_of = lambda role: 10_000
    run_grid(pair, grid(settings, 0.2, 0.4), tmp_path / "out", data=data, batch_size=3)
    assert sorted(read) == sorted(question.prompt for question in tasks.get(settings.task).questions(data=data))


def grid(settings, *alphas):
    return [dataclasses.replace(settings, parameters={"alpha": alpha}) for alpha in alphas]


def test_a_grid_summarises_each_run_in_its_own_folder(tmp_path, decoder, pair, settings, data):
    """Fails when runs share a folder, or the summary on disk is another than the one returned."""
    summary = run_grid(pair, grid(settings, 0.2, 0.4), tmp_path / "out", data=data)
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text()) | {"runs": summary["runs"]}
    assert [row["parameters"] for row in summary["runs"]] == [{"alpha": 0.2}, {"alpha": 0.4}]
    assert summary["settings"]["parameters"] == [{"alpha": 0.2}, {"alpha": 0.4}]
    assert summary["settings"]["rule"] == "dual"
    for row in summary["runs"]:
        assert len(read_records(tmp_path / "out" / row["folder"] / "records.jsonl")) == 10


@pytest.mark.parametrize("change", [{"seed": 1}, {"temperature": 0.0}, {"rule": "nudging"}, {"mode": "speculative"}])
def test_a_grid_refuses_the_folder_of_another(tmp_path, decoder, pair, settings, data, change):
    """Fails when a second command adds its runs to a folder whose summary speaks of the first."""
    run_grid(pair, grid(settings, 0.2), tmp_path / "out", data=data)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"other settings, got {next(iter(change))} "):
        run_grid(pair, grid(dataclasses.replace(settings, **change), 0.2), tmp_path / "out", data=data)
    with pytest.raises(InputError, match="other settings, got parameters"):
        run_grid(pair, grid(settings, 0.2, 0.3), tmp_path / "out", data=data)
    assert contents(tmp_path) == before


def test_a_grid_that_cannot_be_run_is_refused_before_anything_is_written(tmp_path, decoder, pair, settings, data):
    """Fails when the third of three runs ends the command after two were paid for."""
    for runs, complaint in [
        ([], "at least one run"),
        (grid(settings, 0.2, 0.2), "same run twice"),
        (grid(settings, 0.2, 7.0), "alpha must be a number in"),
        ([settings, dataclasses.replace(settings, rule="best")], "got 'best'"),
        ([dataclasses.replace(settings, task="maths")], "no task 'maths'"),
        ([settings, dataclasses.replace(settings, limit=3, seed=1)], "limit must be the same in all runs of a grid"),
    ]:
        with pytest.raises(InputError, match=complaint):
            run_grid(pair, runs, tmp_path / "out", data=data)
    with pytest.raises(InputError, match="batch_size"):
        run_grid(pair, [settings], tmp_path / "out", data=data, batch_size=0)
    assert not (tmp_path / "out").exists()
    assert decoder.n_calls == 0
