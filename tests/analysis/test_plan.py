"""The plan counts what a run would do: the passes are those that decoding makes, and bytes and hours follow."""

from pathlib import Path

import pytest
import yaml

from analysis import plan as planning
from analysis.measured_pass import Pace
from analysis.profile import check
from analysis.workload import parts
from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.models.sizes import Size

CONFIG = Path(__file__).parent.parent.parent / "analysis" / "config"
PROFILES = sorted(path for path in CONFIG.glob("**/*.yaml") if path.stem != "schema")


class Always:
    """A number for every key."""

    def __init__(self, value):
        self.value = value

    def __getitem__(self, key):
        return self.value


def profile(rules, mode="autoregressive", **others):
    grid = {"split": "test", "mode": mode, "rules": rules, "window": 4}
    whole = {
        "name": "some", "pair": "lab", "tasks": ["lab-facts"], "seed": 1, "n_questions": {"dev": 2, "test": 6},
        "batch_size": 2, "n_resamples": 20, "grids": {"one": grid},
    } | others  # fmt: skip
    check(whole)
    return whole


def passes(whole, context=100):
    """Least and most passes by role, without those that read prompts."""
    found = {}
    for part in parts(whole, context):
        for one in part.passes:
            if one.n_rows != 256:
                n_rows, least, most = found.get(one.role, (one.n_rows, 0, 0))
                found[one.role] = (n_rows, least + one.least, most + one.most)
    return found


STEPS = 6 * tasks.get("lab-facts").max_new_tokens // 2  # of six texts, two at a time


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"never": []}, {"base": (2, STEPS, STEPS)}),
        ({"always": []}, {"proxy": (2, STEPS, STEPS)}),
        ({"truncated-dual": [0.4]}, {"base": (2, STEPS, STEPS)}),
        ({"dual": [0.4]}, {"base": (2, STEPS, STEPS), "proxy": (2, 0, STEPS)}),
        ({"dual": [0.2, 0.4]}, {"base": (2, 2 * STEPS, 2 * STEPS), "proxy": (2, 0, 2 * STEPS)}),
        ({"advantage": [0.4]}, {"base": (2, STEPS, STEPS), "proxy": (2, STEPS, STEPS)}),
        ({"implicit-reward": []}, dict.fromkeys(("base", "proxy", "reference"), (2, STEPS, STEPS))),
    ],
)
def test_token_by_token_each_step_is_a_pass_of_the_models_that_it_asks(rules, expected):
    """Fails when an idle proxy is counted, or one that is read at every step is not."""
    assert passes(profile(rules)) == expected


def test_speculative_cycles_lie_between_all_drafts_accepted_and_none():
    """Fails when a window's rows or drafts are counted as one; the proxy alone has nothing to verify."""
    assert passes(profile({"dual": [0.4]}, "speculative")) == {
        "base": (10, STEPS / 5, STEPS),
        "proxy": (2, 4 * STEPS / 5, 4 * STEPS),
    }
    assert passes(profile({"always": []}, "speculative")) == {"proxy": (2, STEPS, STEPS)}


def test_counts_hold_for_a_run_that_was_made(tmp_path):
    """Fails when decoding makes more passes than planned: the lab pair answers, and each pass is counted."""
    from proxyalign.decoding import generate
    from proxyalign.deferral.rules import make
    from proxyalign.models import load_pair

    pair, task = load_pair("lab", offline=True), tasks.get("lab-facts")
    counted = {"base": 0, "proxy": 0}
    for role in counted:
        getattr(pair, role).register_forward_hook(lambda *_, role=role: counted.update({role: counted[role] + 1}))
    prompts = [question.prompt for question in task.questions(split="test", limit=6)]
    for mode in ("autoregressive", "speculative"):
        counted.update(dict.fromkeys(counted, 0))
        generate(
            pair, prompts, make("dual", alpha=0.4), mode=mode, window=4, batch_size=2,
            max_new_tokens=task.max_new_tokens, stop=task.stop,
        )  # fmt: skip
        planned = passes(profile({"dual": [0.4]}, mode))
        assert all(0 < counted[role] <= planned[role][2] + 2 * len(prompts) for role in counted)  # and the prompts


def test_hours_and_bytes_follow_from_passes_and_sizes(monkeypatch):
    """Fails when a model is timed as another, the cache is left out, or prompts cost nothing."""
    pace = Pace("cpu", "float32", Always(1e-9), Always(1e-3))
    monkeypatch.setattr(planning, "measure", lambda *_: pace)
    recorded = {
        "parameters": 10**9, "stored": "bfloat16", "layers": 2, "kv_heads": 1, "head_dim": 8, "context": 64,
        "source": "x",
    }  # fmt: skip
    base = {"name": "org/base", "dtype": "float32", "params": recorded}
    proxy = {"name": "org/proxy", "dtype": "float32", "params": {**recorded, "parameters": 10**6}}
    whole = profile({"never": []}, pair={"base": base, "proxy": proxy}, context=50)
    found = planning.plan(whole, offline=True)
    n_new, cache = tasks.get("lab-facts").max_new_tokens, 2 * 2 * 8 * 4
    prompts = 6 * (50 - n_new) / 256
    seconds = STEPS * (4.002 + 2 * 50 * cache * 1e-9) + prompts * (4.002 + 256 * cache * 1e-9)
    assert found["hours"] == pytest.approx([seconds / 3600] * 2, rel=1e-12)
    assert found["n_bytes_to_download"] == 2 * (10**9 + 10**6)
    packed = {line["weights_in"]: line for line in found["memory"]["by_dtype"]}
    assert packed["4 bits"] == {
        "weights_in": "4 bits", "base": 5e8, "proxy": 5e5, "cache": 2 * 2 * 50 * cache / 2,
        "all": 5e8 + 5e5 + 100 * cache,
    }  # fmt: skip
    assert (found["n_settings"], found["n_rules"], found["n_answers"]) == (1, 1, 6)
    assert all("as no hub was asked" in model["source"] for model in found["models"].values())


def test_the_shipped_pair_is_counted_in_its_files_and_prompts(monkeypatch):
    """Fails when the context is the models' limit although the questions are here."""
    monkeypatch.setattr(planning, "measure", lambda *_: Pace("cpu", "float32", Always(1e-9), Always(1e-3)))
    found = planning.plan(profile({"dual": [0.4]}), offline=True)
    assert found["models"]["base"]["name"] == "lab/base"
    assert found["n_bytes_to_download"] == 0
    assert tasks.get("lab-facts").max_new_tokens < found["memory"]["context"] < found["models"]["base"]["context"] / 2
    assert found["models"]["base"]["dtype"] == "float32"


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_shipped_profile_can_be_planned_without_a_hub(path, monkeypatch):
    """Fails when a profile lacks the size of a model, or asks for what the plan does not know."""
    monkeypatch.setattr(
        planning,
        "measure",
        lambda rows, *_: Pace("cpu", "float32", dict.fromkeys({1, *rows}, 1e-9), dict.fromkeys({1, *rows}, 0)),
    )
    read = planning.read(path)
    if isinstance(read["pair"], str) and read["pair"] not in ("lab",) and "train" not in read:
        pytest.skip("a pair out of packages, which need not be installed")
    found = planning.plan(read, offline=True)
    assert 0 < found["hours"][0] <= found["hours"][1]
    assert {part["name"] for part in found["parts"]} == {*read["grids"], *(["speed"] if "speed" in read else [])}


def test_a_pair_out_of_packages_is_made_and_counted(monkeypatch):
    """Fails when it is looked for on a hub, or planned for in the dtype of a pair whose numbers are recorded."""
    from types import SimpleNamespace

    from tiny_models import gpt2, llama

    monkeypatch.setattr(planning, "measure", lambda *_: Pace("cpu", "bfloat16", Always(1e-9), Always(1e-3)))
    monkeypatch.setattr("proxyalign.models.options.multiplies_bfloat16", lambda: True)
    models = SimpleNamespace(base=llama(10, 0, layers=3), proxy=gpt2(10, 0, layers=1))
    monkeypatch.setattr("proxyalign.models.load_pair", lambda name, offline: models if name == "smol" else None)
    found = planning.plan(profile({"dual": [0.4]}, pair="smol", context=60))
    assert [(model["name"], model["dtype"]) for model in found["models"].values()] == [
        ("smol/base", "bfloat16"), ("smol/proxy", "bfloat16")
    ]  # fmt: skip
    assert found["models"]["base"]["n_parameters"] == sum(weight.numel() for weight in models.base.parameters())
    assert found["n_bytes_to_download"] == 0


def test_the_prompts_of_an_installed_pair_are_counted_too(monkeypatch):
    """Fails when they are taken to fill a context of thousands of tokens, so that minutes are planned as days."""
    from types import SimpleNamespace

    from tiny_models import llama

    words = SimpleNamespace(base=llama(10, 0, layers=1), proxy=llama(10, 1, layers=1))
    words.tokenizer = lambda prompts: {"input_ids": [prompt.split() for prompt in prompts]}
    monkeypatch.setattr(planning, "measure", lambda *_: Pace("cpu", "float32", Always(1e-9), Always(1e-3)))
    monkeypatch.setattr("proxyalign.models.load_pair", lambda name, offline: words if name == "smol" else None)
    task = tasks.get("lab-facts")
    longest = max(len(question.prompt.split()) for question in task.questions(split="test", limit=6))
    limit = words.base.config.max_position_embeddings
    found = planning.plan(profile({"dual": [0.4]}, pair="smol"))
    assert longest + task.max_new_tokens < limit
    assert found["memory"]["context"] == longest + task.max_new_tokens


def test_a_pass_is_measured_on_this_machine():
    """Fails when a pass of a model that is twice as large costs no more, or one of more rows has no time of its own."""
    lab = Size("lab", "-", None, 3787968, 0, 8, 4, 48, 512, "")
    pace = planning.measure([4], "cpu", "float32", lab)
    assert set(pace.per_byte) == set(pace.per_layer) == {1, 4}
    assert all(value > 0 for value in pace.per_byte.values())
    twice = Size("twice", "-", None, 2 * 10**9, 0, 8, 4, 48, 512, "")
    once = Size("once", "-", None, 10**9, 0, 8, 4, 48, 512, "")
    assert pace.seconds(twice, 4, 0) > pace.seconds(once, 4, 0)
    assert pace.seconds(once, 4, 10**6) > pace.seconds(once, 4, 0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [", "must be YAML, got something else at line"),
        ("- 1", "must hold a profile, got list"),
        ("", "must hold a profile, got NoneType"),
        ("name: x", "got in it: '.*' is a required property"),
    ],
)
def test_what_is_no_profile_is_told_in_a_sentence(tmp_path, text, told):
    """Fails when snakemake's pages about the schema reach the caller."""
    path = tmp_path / "some.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"^plan: .*{told}") as error:
        planning.read(path)
    assert "\n" not in str(error.value)


def test_a_value_that_no_profile_can_have_is_told_with_its_place(tmp_path):
    """Fails when one has to look for it."""
    wrong = yaml.safe_load((CONFIG / "smoke.yaml").read_text())
    wrong["grids"]["cascades"]["rules"] = {"dual": [0.1, 7]}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    with pytest.raises(InputError, match=r"got in grids\.cascades\.rules\.dual\.1: 7 is greater than the maximum of 1"):
        planning.read(tmp_path / "wrong.yaml")
