"""`proxyalign plan`: the plan on stdout, a sentence and code 2 for what cannot be planned, and no trace offline."""

import json

import pytest
import yaml

PROFILE = {
    "name": "tiny", "pair": "lab", "tasks": ["lab-facts"], "seed": 1, "n_questions": {"dev": 1, "test": 2},
    "batch_size": 2, "n_resamples": 20,
    "grids": {"one": {"split": "test", "mode": "speculative", "window": 2, "rules": {"dual": [0.2, 0.4]}}},
}  # fmt: skip
MODEL = {"parameters": 10**9, "stored": "bfloat16", "layers": 2, "kv_heads": 1, "head_dim": 8, "context": 99}


@pytest.fixture
def config(tmp_path):
    """A writer of profiles, with changes."""

    def write(**changes):
        path = tmp_path / "some.yaml"
        path.write_text(yaml.safe_dump(PROFILE | changes))
        return path

    return write


def hub_pair(**recorded):
    return {role: {"name": f"org/{role}", "dtype": "float32", **recorded} for role in ("base", "proxy")}


def test_the_answer_comes_first_and_every_number_has_a_unit(command, config):
    """Fails when stdout holds anything but the plan, or a table loses a model or a part."""
    code, out, err = command("plan", config(), "--offline")
    assert code == 0
    assert out.startswith("tiny: 4 answers in at most ")
    assert "no download; 2 settings of 1 rules, tasks lab-facts, one seed" in out.splitlines()[0]
    words = [line.split() for line in out.splitlines()]
    assert any(line[:2] == ["base", "lab/base"] for line in words)
    assert any(line[:3] == ["one", "speculative", "test"] for line in words)
    assert "next: python -m analysis.reproduce" in err
    assert "measured on cpu, one thread, float32: GB of weights a second" in out


def test_json_is_the_plan_alone(command, config):
    """Fails when something else reaches stdout, or a number is one that JSON has not."""
    code, out, err = command("plan", config(pair=hub_pair(params=MODEL | {"source": "a card"})), "--offline", "--json")
    assert (code, err.strip()) == (0, "")
    found = json.loads(out)
    assert found["n_bytes_to_download"] == 4 * 10**9
    assert found["models"]["base"]["source"] == "the profile's record (a card), as no hub was asked"
    assert found["hours"][0] <= found["hours"][1]


def test_a_missing_network_is_a_sentence(command, config):
    """Fails when a client's trace reaches the user, who has neither the hub nor a record."""
    code, out, err = command("plan", config(pair=hub_pair()))
    assert (code, out) == (2, "")
    assert (
        err.strip().splitlines()[-1].startswith("proxyalign: plan: the size of 'org/base' must be in its files, on the")
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": -1}, "got in seed: -1 is less than the minimum of 0"),
        ({"pair": 3}, "got in pair: 3 is not of type 'object'"),
        ({"pair": {"base": {"name": "x"}}}, "got in pair: 'proxy' is a required property"),
        ({"pair": "nosuch"}, "name must be lab"),
        ({"bach": 4}, "'bach' was unexpected"),
    ],
)
def test_a_profile_that_is_wrong_ends_with_code_2(command, config, changes, told):
    """Fails when it is found out by a trace, or only after a measurement."""
    code, out, err = command("plan", config(**changes), "--offline")
    assert (code, out) == (2, "")
    assert told in err.strip().splitlines()[-1]


def test_a_package_without_its_checkout_says_so(command, config, monkeypatch, tmp_path):
    """Fails when an installed package ends in a traceback about a module."""
    monkeypatch.setattr("proxyalign.cli.plan._ROOT", tmp_path)
    code, _, err = command("plan", config())
    assert code == 2
    assert "plan: proxyalign must lie in a checkout" in err
