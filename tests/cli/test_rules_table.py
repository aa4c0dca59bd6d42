"""`proxyalign rules`: every rule is listed, whole, at any width, and as JSON that any program can read."""

import json

import pytest

from proxyalign.deferral.rules import REGISTRY, table


@pytest.mark.parametrize("columns", [80, 120])
def test_every_rule_is_listed_with_all_that_the_table_says(command, monkeypatch, columns):
    """Fails when a cell is cut off, read as markup, or pushed over the terminal's edge."""
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, err = command("rules")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= columns
    flat = "".join(line[21:].strip() for line in out.splitlines()).replace(" ", "")  # the right column, joined again
    for line in table():
        for part in (line["formula"], f"needs {line['needs']} |", f"base: {line['always_base']}", line["source"]):
            assert part.replace(" ", "") in flat
    left = [line[:21].strip() for line in out.splitlines()]
    assert [name for name in left if name in REGISTRY] == list(REGISTRY)
    assert {"alpha [-1, 1]", "k [1, inf)", "alpha (-inf, inf)", "step [1e-09, inf)"} <= set(left)


def test_json_is_the_table_with_null_for_an_open_end(command):
    """Fails when something else reaches stdout, or a number is written that JSON has not."""

    def refuse(literal):
        raise AssertionError(literal)

    code, out, err = command("rules", "--json")
    assert (code, err) == (0, "")
    rules = {line["name"]: line for line in json.loads(out, parse_constant=refuse)["rules"]}
    assert list(rules) == list(REGISTRY)
    assert rules["dual"] == {**table()[2], "parameters": {"alpha": [0.0, 1.0]}}
    assert rules["opt"]["parameters"] == {"alpha": [None, None]}
    assert rules["top-k"]["parameters"] == {"k": [1, None], "min_keep": [0, 1]}
