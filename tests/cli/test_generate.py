"""`proxyalign generate`: the text on stdout, the numbers on stderr, and a sentence for what cannot be used."""

import json
import re
import shutil

import pytest
from tiny_models import llama, word_tokenizer

from proxyalign.cli.generate import as_asked


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("pair")
    for seed, part in enumerate(("base", "proxy")):
        llama(10, seed, layers=2 - seed, context=40).save_pretrained(where / part)
        word_tokenizer(10).save_pretrained(where / part)
    return where


@pytest.mark.parametrize(
    "options",
    [
        ["--rule", "dual", "--alpha", "0.4"],
        ["--rule", "primal", "--budget", "0.9", "--mode", "speculative", "--window", "3"],
        ["--rule", "dual", "--alpha", "0.4", "--mode", "speculative", "--window", "auto"],
        ["--rule", "nudging", "--alpha", "0.4", "--temperature", "0"],
        ["--rule", "truncated-dual", "--alpha", "0.2"],
        ["--rule", "top-k", "--set", "k=3", "--set", "min_keep=0"],
        ["--rule", "hybrid", "--budget", "0.3", "--set", "step=1", "--mode", "speculative"],
        ["--rule", "never"],
    ],
    ids=" ".join,
)
def test_the_answer_is_on_stdout_and_its_numbers_are_on_stderr(command, folder, options):
    """Fails when something besides the text is printed, or a number has no unit."""
    code, out, err = command("generate", "--pair", folder, "--offline", "--max-new-tokens", 6, *options, "t1 t2")
    assert code == 0
    assert len(out.split()) == 6
    assert set(out.split()) <= {f"t{i}" for i in range(10)}
    assert "6 tokens in" in err
    assert "tokens/s" in err
    assert "deferral mass" in err
    assert ("tested drafts accepted" in err) == ("speculative" in options)


def test_json_is_alone_on_stdout_and_repeats(command, folder):
    """Fails when a seed does not fix the answers, or the numbers cannot be read by a machine."""
    arguments = ["generate", "--pair", folder, "--offline", "--rule", "dual", "--alpha", "0.3", "--json"]
    arguments += ["--num-return-sequences", 3, "--seed", 7, "--mode", "speculative", "--max-new-tokens", 9]
    answers = []
    for _ in range(2):
        code, out, err = command(*arguments, "t1 t2")
        assert (code, err) == (0, "")
        answers.append(json.loads(out))
    assert answers[0]["token_ids"] == answers[1]["token_ids"]
    assert len(answers[0]["texts"]) == 3
    assert answers[0]["rule"] == "dual(alpha=0.3)"
    assert answers[0]["prompt"] == "t1 t2"
    assert answers[0]["stats"]["n_tokens"] == 27
    assert 0 <= answers[0]["stats"]["acceptance_rate"] <= 1


def test_a_reference_is_read_by_the_rules_that_need_one(command, folder):
    """Fails when --reference does not reach the pair: the law of proxy-tuning is the base's where q0 is the proxy."""
    models = ["--base", folder / "base", "--proxy", folder / "proxy", "--offline", "--max-new-tokens", 9, "t1 t2"]
    tuned = command("generate", "--rule", "proxy-tuning", "--alpha", 3, "--reference", folder / "proxy", *models)
    plain = command("generate", "--rule", "never", *models)
    assert tuned[0] == 0
    assert tuned[1] == plain[1]


def test_the_proxy_may_read_the_prompt_as_a_chat(command, folder, tmp_path):
    """Fails when the base reads the template too, or the proxy does not, or a template is missing without a word."""
    tokenizer = word_tokenizer(10)
    tokenizer.chat_template = "t7 {{ messages[0].content }} t8"
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    tokenizer.save_pretrained(tmp_path / "proxy")
    asked = ["--offline", "--max-new-tokens", 9, "--proxy-chat", "--rule"]
    for rule, prompt in (("never", "t1 t2"), ("always", "t7 t1 t2 t8")):
        plain = command("generate", "--pair", folder, *asked[:3], "--rule", rule, prompt)
        assert command("generate", "--pair", tmp_path, *asked, rule, "t1 t2")[1] == plain[1] != ""
    long = command("generate", "--pair", tmp_path, *asked[:1], *asked[3:], "never", "t1 t2")
    assert len(long[1].split()) == 36  # of a context of 40 the chat leaves so many
    code, out, err = command("generate", "--pair", folder, *asked, "never", "t1")
    assert (code, out) == (2, "")
    assert "must have a chat template" in err


def test_the_rule_temperature_reaches_the_rule(command, folder):
    """Fails when a greedy decoding that tempers first defers anything, or the answer does not say that it did so."""
    options = ["generate", "--pair", folder, "--offline", "--rule", "dual", "--alpha", 0.9, "--temperature", 0]
    options += ["--json", "t1 t2"]
    answers = [json.loads(command(*options, "--rule-temperature", of)[1]) for of in (0, 1)]
    assert [answer["rule_temperature"] for answer in answers] == [0, 1]
    assert answers[0]["stats"]["deferral_rate"] == 0 < answers[1]["stats"]["deferral_rate"]


def test_the_answer_fills_the_context_where_no_length_is_asked_for(command, folder):
    """Fails when the default length makes a short context refuse every prompt."""
    code, out, _ = command("generate", "--pair", folder, "--offline", "--rule", "never", "t1 t2")
    assert code == 0
    assert len(out.split()) == 38


def test_the_shipped_pair_is_asked_as_its_tasks_ask():
    """Fails when a question reaches the lab pair in a form that it was never trained on."""
    assert as_asked("Which colour is it?") == "Question: Which colour is it?\n"
    assert as_asked("Question: x\n") == "Question: x\n"
    assert as_asked("") == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rule", "duel", "t1"], "name must be one of never"),
        (["--rule", "dual", "--alpha", "7", "t1"], "alpha must be a number in [0, 1], got 7.0"),
        (["--rule", "dual", "t1"], "dual takes alpha"),
        (["--rule", "primal", "--budget", "nan", "t1"], "budget must be a number in [0, 1], got nan"),
        (["--rule", "never", "--mode", "fast", "t1"], "mode must be autoregressive or speculative, got 'fast'"),
        (["--rule", "never", ""], "must hold at least one token, got ''"),
        (["--rule", "never", " ".join(["t1"] * 50)], "must fit the models' context of 40 tokens, got 50 + 1"),
    ],
)
def test_a_mistake_ends_with_one_sentence(command, folder, arguments, told):
    """Fails when a mistake ends in a traceback, in another exit code, or with an answer."""
    code, out, err = command("generate", "--pair", folder, "--offline", *arguments)
    assert code == 2
    assert out == ""
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_in_a_terminal_the_answer_is_coloured_by_who_wrote_each_token(command, folder, monkeypatch):
    """Fails when the colours change the text, no colour is shown, or one is shown that the legend does not name."""
    asked = ["generate", "--pair", folder, "--offline", "--max-new-tokens", 12, "--rule", "dual", "--alpha", "0.4"]
    _, plain, _ = command(*asked, "t1 t2")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    code, out, err = command(*asked, "t1 t2")
    assert code == 0
    assert re.sub(r"\x1b\[[0-9;]*m", "", out).strip() == plain.strip()
    assert "\x1b[30;43m" in out  # black on yellow
    assert "proxy" in err
    assert "draft" not in err
