"""Runs of choice tasks: records and measures are what the law says of the choices, in every way of asking for them."""

import copy
import dataclasses
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from clashing import Definition, bytes_tokenizer, clashing_pair
from tiny_models import llama as tiny_llama
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from proxyalign import tasks
from proxyalign.decoding.scoring import score
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.evaluation import Settings, merge, read_records, run, run_grid, summarise
from proxyalign.evaluation.asked import ask
from proxyalign.evaluation.merging import shards_of
from proxyalign.models import ModelPair
from proxyalign.tasks import Question, Score
from proxyalign.tasks.base import single_likeliest

NAME, N_TOKENS, N_QUESTIONS = "words", 24, 11


def words(*ids):
    return "".join(f" t{i}" for i in ids)


QUESTIONS = [
    Question(
        id=f"q{n}",
        prompt=f"t{n}{words(*range(n % 5))}",
        proxy_prompt=None,
        reference=n % 3,
        meta={"group": "ab"[n > 7]},
        message=f"t5{words(n)}",
        choices=(words(6), words(7, 8), words(9 + n)),
        others=(words(20, 21, 22),) if n % 2 else (),
    )
    for n in range(N_QUESTIONS)
]


class Words:
    """A choice task of words that a tiny model knows, which measures the likelihood of the first of `others`."""

    name, kind, version, splits, max_new_tokens, stop = NAME, "choice", 1, ("test",), 0, ()
    groups, licence, source, checksums = "group", "", "", {}

    def questions(self, split="test", data=None, limit=None):
        return QUESTIONS[:limit]

    def score(self, question, log_likelihoods):
        best = single_likeliest(log_likelihoods[: len(question.choices)])
        others = log_likelihoods[len(question.choices) :]
        return Score(
            correct=best == question.reference,
            extracted=None if best is None else str(best),
            strict=best == question.reference,
            measures={"other": (math.exp(others[0]), 2.0)} if others else {},
        )


@pytest.fixture(autouse=True)
def task(monkeypatch):
    monkeypatch.setitem(sys.modules, "task_of_words", SimpleNamespace(TASKS={NAME: Words()}))
    monkeypatch.setitem(tasks._HOMES, NAME, "task_of_words")
    monkeypatch.setattr(tasks, "NAMES", (*tasks.NAMES, NAME))


@pytest.fixture(scope="module")
def models_():
    """Two random Llamas in float64, and their tokenizer."""

    def llama(seed, layers):
        torch.manual_seed(seed)
        sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": layers}
        ids = {"vocab_size": N_TOKENS, "eos_token_id": 3, "bos_token_id": None, "pad_token_id": None}
        return LlamaForCausalLM(LlamaConfig(**sizes, **ids, max_position_embeddings=64, initializer_range=0.4)).double()

    level = Tokenizer(models.WordLevel({f"t{i}": i for i in range(N_TOKENS)}, unk_token="t0"))
    level.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return llama(0, 2), llama(1, 1), PreTrainedTokenizerFast(tokenizer_object=level)


@pytest.fixture
def pair(models_):
    """The models as a pair whose proxy has a chat template."""
    from proxyalign.models import ModelPair

    base, proxy, tokenizer = models_
    chatting = copy.deepcopy(tokenizer)
    chatting.chat_template = "t1 {{ messages[0].content }} t2"
    return ModelPair(base, proxy, tokenizer, proxy_tokenizer=chatting)


@pytest.fixture
def settings():
    return Settings(
        pair="two", task=NAME, task_version=1, rule="dual", parameters={"alpha": 0.2}, max_new_tokens=0, seed=4
    )


def wanted(pair, question, *, base=None, proxy=None):
    """Log pi of the question's choices and others, each read by itself; base, proxy: what these read instead."""
    found = []
    for text in (*question.choices, *question.others):
        ids = pair.tokenizer(text)["input_ids"]
        context, own = (pair.tokenizer(one or question.prompt)["input_ids"] for one in (base, proxy))
        (one,) = score(pair, rules.Dual(0.2), [context], [ids], proxy_contexts=[own])
        found.append(float(one.log_probs.sum()))
    return found


def records_of(folder, settings):
    return read_records(folder / settings.slug / "records.jsonl")


def test_records_hold_what_the_law_says_of_each_choice(tmp_path, pair, settings):
    """Fails when a likelihood is another prompt's, rounded, or a choice's of another question."""
    summary = run(pair, settings, tmp_path, batch_size=2)
    records = records_of(tmp_path, settings)
    assert [record["index"] for record in records] == list(range(N_QUESTIONS))
    for question, record in zip(QUESTIONS, records, strict=True):
        np.testing.assert_allclose(record["log_likelihoods"], wanted(pair, question), rtol=1e-9)
        own = Words().score(question, record["log_likelihoods"])
        assert (record["correct"], record["extracted"], record["strict"]) == (own.correct, own.extracted, own.strict)
        assert record.get("measures", {}) == {name: list(one) for name, one in own.measures.items()}
        n_of_choices = sum(len(text.split()) for text in (*question.choices, *question.others))
        assert record["n_tokens"] == len(question.prompt.split()) + n_of_choices
        assert (record["n_cycles"], record["deferral_mass"]) == (0, 0)
        assert record["seconds"] > 0
    assert summary == summarise(records, groups="group")
    others = [math.exp(record["log_likelihoods"][3]) for record in records if len(record["log_likelihoods"]) > 3]
    assert summary.measures["other"].value == pytest.approx(sum(others) / (2 * len(others)), rel=1e-12)
    shares = [
        np.mean([record["correct"] for record in records if record["meta"]["group"] == group]) for group in ("a", "b")
    ]
    assert summary.macro.value == pytest.approx(np.mean(shares), rel=1e-12)
    assert summary.macro.n == 2


def test_each_model_reads_what_the_settings_say(tmp_path, pair, settings):
    """Fails when a chat template wraps the prompt and not the message, or reaches the base unasked, or not asked."""
    for changes, of_base in (({"proxy_chat": True}, False), ({"base_chat": True}, True)):
        asked = dataclasses.replace(settings, **changes)
        assert asked.proxy_chat
        run(pair, asked, tmp_path / str(of_base))
        for question, record in zip(QUESTIONS, records_of(tmp_path / str(of_base), asked), strict=True):
            chat = f"t1 {question.message} t2"
            expected = wanted(pair, question, base=chat if of_base else None, proxy=chat)
            np.testing.assert_allclose(record["log_likelihoods"], expected, rtol=1e-9)


def test_a_likelihood_of_zero_is_null_and_counts(tmp_path, pair, settings, monkeypatch):
    """Fails when minus infinity is no JSON, so that such a run cannot be written, or is scored as null."""

    def of_choices(pair, rule, contexts, choices, **_):
        return [[-math.inf if len(ids) > 1 else -1.5 for ids in of_prompt] for of_prompt in choices]

    monkeypatch.setattr("proxyalign.decoding.choices.score_choices", of_choices)
    run(pair, settings, tmp_path)
    first, second, *_ = records_of(tmp_path, settings)
    assert first["log_likelihoods"] == [-1.5, None, -1.5]
    assert second["log_likelihoods"] == [-1.5, None, -1.5, None]
    assert second["measures"] == {"other": [0.0, 2.0]}


def test_a_choice_run_goes_on_and_its_shards_merge(tmp_path, pair, settings):
    """Fails when a likelihood depends on where a run was cut."""
    single = run_grid(pair, [settings], tmp_path / "single", batch_size=1)
    path = tmp_path / "cut" / settings.slug
    path.mkdir(parents=True)
    lines = (tmp_path / "single" / settings.slug / "records.jsonl").read_bytes().splitlines(keepends=True)
    (path / "settings.json").write_bytes((tmp_path / "single" / settings.slug / "settings.json").read_bytes())
    (path / "records.jsonl").write_bytes(b"".join(lines[:5]) + lines[5][:40])
    run(pair, settings, tmp_path / "cut", batch_size=1)
    for shard in ("1/3", "2/3", "3/3"):
        run_grid(pair, [settings], tmp_path / "parts", batch_size=1, shard=shard)
    merged = merge(shards_of(tmp_path / "parts"), tmp_path / "parts")
    straight = [record | {"seconds": 0} for record in records_of(tmp_path / "single", settings)]
    for name in ("cut", "parts"):
        assert [record | {"seconds": 0} for record in records_of(tmp_path / name, settings)] == straight
    clocks = {"seconds": 0, "tokens_per_second": 0}
    assert merged["runs"][0] | clocks == single["runs"][0] | clocks
    assert "macro" in merged["runs"][0]


def test_what_only_decoding_has_is_refused_and_seed_and_window_make_no_other_run(settings):
    """Fails when a table of a choice task tells of a mode or temperature that its numbers do not have."""
    for name, value in (("mode", "speculative"), ("temperature", 0.0), ("rule_temperature", 0.5), ("rows", 3)):
        with pytest.raises(InputError, match=f"{name} must be .* for words, whose choices are read and not decoded"):
            dataclasses.replace(settings, **{name: value})
    assert settings.slug == "words_dual-alpha0.2_likelihood"
    assert dataclasses.replace(settings, seed=5, window=2).slug == settings.slug
    assert dataclasses.replace(settings, base_chat=True).slug == "words_dual-alpha0.2_base-chat_likelihood"
    with pytest.raises(InputError, match="max_new_tokens must be"):
        dataclasses.replace(settings, task="lab-math")


def test_other_choices_are_other_questions_and_too_long_ones_are_told(tmp_path, pair, settings, monkeypatch):
    """Fails when records of other choices are gone on with, or a long one ends a run that was begun."""
    run(pair, settings, tmp_path / "out")
    first = QUESTIONS[0]
    monkeypatch.setitem(globals(), "QUESTIONS", [dataclasses.replace(first, others=(words(4),)), *QUESTIONS[1:]])
    with pytest.raises(InputError, match="made with other settings, got questions"):
        run(pair, settings, tmp_path / "out")
    long = dataclasses.replace(first, choices=(words(*[4] * 70),))
    monkeypatch.setitem(globals(), "QUESTIONS", [*QUESTIONS[1:], long])
    with pytest.raises(InputError, match=r"prompt and choice must fit .* of 64 tokens, got 1 \+ 70 for question q0"):
        run(pair, settings, tmp_path / "long")
    assert not (tmp_path / "long").exists()


@pytest.mark.parametrize("base", ["bytes", "signs"])
@pytest.mark.parametrize("changes", [{}, {"proxy_chat": True}, {"base_chat": True}])
def test_over_two_vocabularies_each_model_reads_the_text_in_its_own_tokens(
    tmp_path, settings, monkeypatch, base, changes
):
    """Fails when a prompt, a chat or a choice reaches a model in the other's ids, or the base's chat is a plain prompt.

    The likelihood is worked out from whole passes over whole texts, piece by piece.
    """
    pair, cut = clashing_pair(base), {"bytes": [b"ab", b" a"], "signs": [b"a", b"b", b" ", b"a"]}[base]
    pair.proxy_tokenizer.chat_template = "b {{ messages[0].content }} ba"
    one = Question(id="q", prompt="ba", proxy_prompt=None, reference=0, message="ab", choices=("ab a",))
    monkeypatch.setitem(globals(), "QUESTIONS", [dataclasses.replace(one, meta={"group": "a"})])
    asked = dataclasses.replace(settings, rule="static-mixture", parameters={"weight": 0.5}, **changes)
    run(pair, asked, tmp_path)
    (record,) = records_of(tmp_path, asked)
    chat = "b ab ba"
    of_base = pair.encode(chat if asked.base_chat else "ba")
    of_proxy = pair.template_ids(chat) if asked.proxy_chat else pair.encode("ba", "proxy")
    definition, rule, expected = Definition(pair, base), rules.StaticMixture(0.5), 0.0
    for n, piece in enumerate(cut):
        p, q = definition.law("base", of_base, cut[:n]), definition.law("proxy", of_proxy, cut[:n])
        expected += math.log(float(rule.target(p, q)[definition.index[piece]]))
    assert record["log_likelihoods"] == pytest.approx([expected])


@pytest.mark.parametrize("end", ["b", "a"])
@pytest.mark.parametrize("two", [False, True])
def test_a_chat_that_both_models_read_is_gone_on_with_by_the_choice_alone(settings, two, end):
    """Fails when what the tokenizer joins to a choice at a plain prompt's end is put once more after the chat's, or a
    choice is not cut as the tokenizer cuts it there: " a" and "ab" are tokens of their own."""
    one = ModelPair(base=tiny_llama(9, 0), proxy=tiny_llama(9, 1), tokenizer=bytes_tokenizer())
    pair = clashing_pair() if two else one
    pair.chat_tokenizer.chat_template = "{{ messages[0].content }}" + end
    question = Question(id="q", prompt="b ", proxy_prompt=None, reference=0, message="b", choices=("a", "b"))
    asked = ask(pair, dataclasses.replace(settings, base_chat=True), [question], n_new=0)
    if two:
        assert asked.prompts == [pair.encode("b" + end)]
        assert asked.choices == [[pair.vocabulary.encode(choice) for choice in question.choices]]
    else:
        whole = [asked.prompts[0] + ids for ids in asked.choices[0]]
        assert whole == [pair.template_ids("b" + end + choice) for choice in question.choices]
        assert asked.proxy_prompts is None
