"""Runs are compared question by question: numbers by hand, what swapping does, and what is refused or told."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_runs import record, write_records, write_run

from proxyalign.errors import InputError
from proxyalign.evaluation import compare
from proxyalign.evaluation.comparison import pairing


@pytest.fixture
def two(tmp_path):
    """A reference with 2 of 5 right, and a run that helps q2 to q4 and harms q0."""
    never = write_run(tmp_path / "never", "11000")
    return never, write_run(tmp_path / "dual", "01111", rule="dual", parameters={"alpha": 0.4})


def test_each_number_is_what_the_questions_say(two):
    """Fails where helps and harms are swapped, a difference has the other sign, or a run is not paired by question."""
    found = compare(two)
    assert (found.reference, found.task, found.split, found.n) == ("never", "gsm8k", "test", 5)
    assert found.accuracy == 0.4
    (one,) = found.runs
    assert one.run == "dual(alpha=0.4)"
    assert (one.accuracy.value, one.accuracy.reference) == (0.8, 0.4)
    assert one.accuracy.difference == pytest.approx(0.4)
    assert one.accuracy.interval == pytest.approx((-0.4, 1.0))
    assert (one.helps, one.harms) == (("q2", "q3", "q4"), ("q0",))
    assert (one.p, one.mid_p, one.p_holm) == (0.625, 0.375, 0.625)
    assert one.interval == pytest.approx((0.3755, 0.9638), abs=5e-5)
    assert one.tokens_per_second == (8.0, 8.0)
    assert (one.tokens_per_reply.difference, one.deferral.value) == (0.0, 0.25)


def test_costs_are_ratios_of_sums(tmp_path):
    """Fails for a mean of the replies' own rates, in which a short reply weighs as much as a long one."""
    before = [
        record("a", True, n_tokens=2, seconds=1.0, mass=1.0),
        record("b", True, n_tokens=8, seconds=1.0, mass=0.0),
    ]
    after = [record("a", True, n_tokens=4, seconds=1.0, mass=4.0), record("b", True, n_tokens=4, seconds=3.0, mass=0.0)]
    one = compare([write_records(tmp_path / "x", before), write_records(tmp_path / "y", after, rule="always")]).runs[0]
    assert (one.tokens_per_reply.value, one.tokens_per_reply.reference) == (4.0, 5.0)
    assert (one.deferral.value, one.deferral.reference) == (0.5, 0.1)
    assert one.tokens_per_second == (2.0, 5.0)


VERDICTS = st.integers(1, 12).flatmap(lambda n: st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n)] * 2))


@settings(max_examples=30)
@given(verdicts=VERDICTS)
def test_swapping_two_runs_turns_the_difference_round(verdicts):
    """Fails for an interval that leans to one side, or resamples that depend on which run comes first."""
    mine, theirs = ([record(f"q{i}", right) for i, right in enumerate(run)] for run in verdicts)
    forth, back = (
        pairing.differences(*two, measures=False, seed=0)[pairing.ACCURACY] for two in ((mine, theirs), (theirs, mine))
    )
    assert forth.difference == -back.difference
    assert forth.interval == pytest.approx(tuple(-end for end in reversed(back.interval)))
    assert pairing.turned(mine, theirs) == pairing.turned(theirs, mine)[::-1]


@settings(max_examples=20)
@given(verdicts=st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_run_does_not_differ_from_itself(verdicts):
    """Fails where runs are resampled apart, so that the same answers differ by chance."""
    run = [record(f"q{i}", right, mass=0.5 + i) for i, right in enumerate(verdicts)]
    for one in pairing.differences(run, run, measures=True, seed=0).values():
        assert (one.difference, one.interval) == (0.0, (0.0, 0.0))
    assert pairing.turned(run, run) == ((), ())


def test_the_order_of_the_records_does_not_matter(tmp_path, two):
    """Fails where answers are paired by their place."""
    backwards = [record(f"q{i}", i > 0) for i in reversed(range(5))]
    turned = write_records(tmp_path / "back", backwards, rule="dual", parameters={"alpha": 0.4})
    one, other = (compare([two[0], run]).runs[0] for run in (turned, two[1]))
    assert (set(one.helps), one.harms, one.p) == (set(other.helps), other.harms, other.p)


def test_holm_counts_all_runs_of_the_table(tmp_path):
    """Fails where each run is corrected by itself."""
    never = write_run(tmp_path / "never", "0" * 8)
    sure, unsure = (
        write_run(tmp_path / rule, verdicts, rule=rule) for rule, verdicts in (("dual", "1" * 8), ("gap", "10000000"))
    )
    first, second = compare([never, unsure, sure]).runs
    assert (first.p, first.p_holm) == (1.0, 1.0)
    assert (second.p, second.p_holm) == (2 / 2**8, 4 / 2**8)


def test_a_results_folder_stands_for_its_runs(tmp_path):
    """Fails where only a run's own folder can be named, or runs come in another order than the grid's."""
    for rule in ("gap", "dual", "never"):
        write_run(tmp_path / "out" / rule, "10", rule=rule)
    runs = [{"folder": rule} for rule in ("gap", "dual", "never")]
    (tmp_path / "out" / "summary.json").write_text(json.dumps({"runs": runs}))
    found = compare([tmp_path / "out"], reference="never")
    assert found.reference == "never"
    assert [one.run for one in found.runs] == ["gap", "dual"]


@pytest.mark.parametrize("named", ["dual(alpha=0.4)", "dual", "folder"])
def test_the_reference_is_named_by_label_rule_or_folder(two, named):
    """Fails where one of the three names nothing, and where the reference stays among the others."""
    found = compare(two, reference=two[1] if named == "folder" else named)
    assert (found.reference, [one.run for one in found.runs]) == ("dual(alpha=0.4)", ["never"])


def test_a_folder_that_is_none_of_the_runs_may_be_the_reference(two):
    """Fails where a reference must be named twice."""
    assert [one.run for one in compare([two[0]], reference=two[1]).runs] == ["never"]


def test_runs_of_one_rule_are_told_apart_by_what_differs(tmp_path):
    """Fails when a table has two lines of one name."""
    runs = [write_run(tmp_path / f"t{t}", "01", temperature=t) for t in (0.0, 1.0)]
    again = write_run(tmp_path / "again", "01", temperature=1.0)
    found = compare([*runs, again])
    labels = [found.reference, *(one.run for one in found.runs)]
    assert labels[0] == "never, temperature 0.0"
    assert len(set(labels)) == 3
    assert str(again) in labels[2]


def test_what_else_differs_is_told(tmp_path, two):
    """Fails when a difference of temperature passes for the rule's, or a note tells of a window that nobody uses."""
    assert [note for note in compare(two).notes if "differs" in note] == []
    hot = write_run(tmp_path / "hot", "01111", rule="dual", temperature=0.7, window=3)
    (note,) = [note for note in compare([two[0], hot]).notes if "differs" in note]
    assert "dual differs from never in temperature (0.7 and 1.0) too" in note
    drafted = write_run(tmp_path / "drafted", "01111", rule="dual", mode="speculative")
    (note,) = [note for note in compare([two[0], drafted]).notes if "differs" in note]
    assert "in mode (speculative and autoregressive) too" in note
    commits = [[record(f"q{i}", True, commit=letter * 40 + "-dirty") for i in range(5)] for letter in "ab"]
    made = [write_records(tmp_path / str(i), of_one, rule=f"r{i}") for i, of_one in enumerate(commits)]
    (note,) = [note for note in compare(made).notes if "differs" in note]
    assert "in commit (bbbbbbb-dirty and aaaaaaa-dirty) too" in note


def test_choices_have_no_length_and_nothing_deferred(tmp_path):
    """Fails when what a choice task reads is told as the length of a reply."""
    runs = []
    for rule in ("never", "always"):
        answers = [record(name, True, measures={"mc2": [0.25, 1]}) for name in "ab"]
        for one in answers:
            del one["reply"]
        runs.append(write_records(tmp_path / rule, answers, rule=rule))
    (one,) = compare(runs, measures=True).runs
    assert (one.tokens_per_reply, one.deferral) == (None, None)
    assert list(one.measures) == ["mc2"]
    assert one.measures["mc2"].value == 0.25


def test_measures_are_compared_where_both_runs_have_them(tmp_path):
    """Fails for a mean of ratios, and where a measure that one run lacks is taken for 0 there."""
    stored = ({"kept": [1, 2], "mine": [1, 1]}, {"kept": [3, 4]})
    first = write_records(tmp_path / "a", [record(f"q{i}", True, measures=stored[i]) for i in range(2)], rule="dual")
    second = write_records(tmp_path / "b", [record(f"q{i}", True, measures={"kept": [0, 1]}) for i in range(2)])
    found = compare([second, first], measures=True).runs[0].measures
    assert found["kept"].value == pytest.approx(4 / 6)
    assert found["kept"].reference == 0
    assert "mine" not in found
    one = compare([second, first], measures=True).runs[0]
    assert one.unpaired == {"mine": 1.0}
    assert (one.run, "mine", "1", "-", "-", "-") in compare([second, first], measures=True).measure_cells()
    assert "words" in found
    assert "words" not in compare([second, first]).runs[0].measures


def without(name, records):
    return [{key: value for key, value in one.items() if key != name} for one in records]


def changed(place, records, **more):
    return [one | (more if i == place else {}) for i, one in enumerate(records)]


FIVE = [record(f"q{i}", True) for i in range(5)]
REFUSED = {
    "another version": (FIVE, {"task_version": 2}, "the same task_version, got 2 for dual and 1 for never"),
    "another split": (FIVE, {"split": "dev"}, "the same split, got 'dev' for dual"),
    "another task": (FIVE, {"task": "svamp"}, "the same task, got 'svamp'"),
    "fewer questions": (FIVE[:3], {}, "got 5 for never and 3 for dual, where q3 is not among the latter"),
    "more questions": ([*FIVE, record("q5", True)], {}, "got 6 for dual and 5 for never, where q5 is not"),
    "another text": (changed(2, FIVE, prompt_sha256="0"), {}, "another text under the id q2 for dual"),
    "a question twice": ([*FIVE[:4], FIVE[0]], {}, "each question once, got q0 twice"),
    "no verdict": (without("correct", FIVE), {}, "must say 'correct', got none"),
    "nothing": ([], {}, "at least one record, got none"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_runs_that_do_not_compare_are_refused_in_a_sentence(tmp_path, two, name):
    """Fails when answers to other questions are compared, or a sentence does not name what differs."""
    records, other, told = REFUSED[name]
    run = write_records(tmp_path / "odd", records, **({"rule": "dual"} | other))
    with pytest.raises(InputError) as refusal:
        compare([two[0], run])
    assert told in str(refusal.value)
    assert str(refusal.value).startswith("compare: ")


def test_folders_without_runs_are_refused_in_a_sentence(tmp_path, two):
    """Fails when a wrong folder is a traceback, or an unknown reference the first run."""
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "summary.json").write_text('{"runs": 3}')
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "records.jsonl").write_text("")
    for runs, reference, told in (
        ([], None, "at least two runs, got none"),
        (two[:1], None, "at least two runs, got one"),
        ([two[0], two[0]], None, "twice"),
        ([two[0], tmp_path / "empty"], None, "must be a folder with records.jsonl"),
        ([two[0], broken], None, "must list its runs"),
        ([two[0], bare], None, "must hold settings.json and records.jsonl"),
        (two, "best", "one of never, dual(alpha=0.4), got 'best', which is none of them"),
    ):
        with pytest.raises(InputError) as refusal:
            compare(runs, reference)
        assert told in str(refusal.value)


def test_the_object_is_json_a_table_and_a_frame(tmp_path, two):
    """Fails where a notebook, a file or a data frame gets other numbers, or a label is read as markup."""
    polars = pytest.importorskip("polars", reason="polars is not installed (extra [analysis])")
    odd = write_run(tmp_path / "odd", "01111", rule="<b>")
    found = compare([*two, odd], measures=True)
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["runs"][0]["helps"] == ["q2", "q3", "q4"]
    page = found._repr_html_()
    assert "+40.0 [-40.0, +100.0]" in page
    assert "<b>" not in page
    frame = found.to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame["accuracy_difference"].to_list() == pytest.approx([0.4, 0.4])
    assert frame["n_harms"].to_list() == [1, 1]
    assert frame["words_value"].to_list() == [2.0, 2.0]
