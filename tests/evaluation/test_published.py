"""The published numbers are typed as they stand, carry their source, and stand beside ours and the harness's."""

import json

import pytest
from written_runs import write_run

from proxyalign import tasks
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.evaluation.comparison import table
from proxyalign.evaluation.comparison.published import MEAN, caveat, published

ROWS = published()


def accuracies(**wanted):
    return [row.accuracy for row in ROWS if all(getattr(row, name) == value for name, value in wanted.items())]


def test_the_means_that_were_published_are_those_of_the_rows():
    """Fails for a number typed wrong by 0.5 points or more: five rows and their mean come from two places."""
    for pair in {row.pair for row in ROWS if row.rule != "alone"}:
        rule = "confidence-bet(alpha=0.2)"
        (mean,) = accuracies(pair=pair, rule=rule, task=MEAN)
        rows = [row.accuracy for row in ROWS if (row.pair, row.rule) == (pair, rule) and row.task != MEAN]
        assert len(rows) == 5
        assert sum(rows) / 5 == pytest.approx(mean, abs=0.001)


def test_every_pair_has_every_rule_on_every_benchmark():
    """Fails for a row that was left out or typed twice."""
    assert len(ROWS) == len(set(ROWS)) == 2 * 6 * 5 + 2 * 4
    assert accuracies(pair="Qwen3 14B aligned", task="math500") == [0.64]
    assert accuracies(pair="OLMo-2 13B + OLMo-2 1B aligned", rule="dual(alpha=0.4)", task="gsm8k") == [0.723]


def test_names_are_ours_and_nothing_is_claimed_that_is_not_known():
    """Fails for a task or a rule that we call otherwise, a number without a source, and an interval out of nowhere."""
    for row in ROWS:
        assert row.task in (*tasks.NAMES, MEAN)
        name, _, inside = row.rule.partition("(")
        if name != "alone":
            parameters = dict(part.split("=") for part in inside.removesuffix(")").split(",") if part)
            rules.make(name, **{key: float(value) for key, value in parameters.items()})
        assert "2604.16146" in row.source
        assert 0 < row.accuracy < 1
        assert (row.interval, row.n) == (None, None)
    assert "not in the paper itself" in caveat()


def test_they_stand_beside_runs_of_their_benchmarks_alone(tmp_path):
    """Fails when a run of one benchmark drowns in the numbers of the others, or is not the first line."""
    run = write_run(tmp_path / "run", "1100", task="gsm8k-0shot")
    found = table([run], published=True)
    assert {row.task for row in found.rows[1:]} == {"gsm8k"}
    assert len(found.rows) == 1 + 12
    ours = found.rows[0]
    assert (ours.source, ours.pair, ours.rule, ours.accuracy, ours.n) == ("proxyalign", "two", "never", 0.5, 4)
    assert ours.interval == pytest.approx((0.15, 0.85), abs=5e-5)
    assert caveat() in found.notes


def test_the_table_is_json_html_and_a_frame(tmp_path):
    """Fails where a notebook or a file gets another table, or an interval that is not known becomes a number."""
    pytest.importorskip("polars", reason="polars is not installed (extra [analysis])")
    found = table(published=True)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["rows"][0]["interval"] is None
    assert found._repr_html_().count("<tr>") == 1 + len(ROWS)
    frame = found.to_polars()
    assert frame["low"].null_count() == frame.height == len(ROWS)


def test_an_empty_table_is_refused():
    """Fails when nothing is shown without a word."""
    with pytest.raises(InputError, match="something to show"):
        table()
