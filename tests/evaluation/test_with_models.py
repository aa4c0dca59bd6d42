"""Runs with the real decoder on tiny random models: records agree with its own counts, however a run was cut."""

import copy
import dataclasses
import datetime
import inspect
import shutil

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from proxyalign import tasks
from proxyalign.decoding import generate
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.evaluation import read_records, run, run_grid, summarise
from proxyalign.models import ModelPair

N_TOKENS = 24


@pytest.fixture(scope="module")
def pair():
    """Two random Llamas in float64, so that the last bits of a batch cannot decide a draw."""

    def llama(seed, layers):
        torch.manual_seed(seed)
        sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": layers}
        ids = {"vocab_size": N_TOKENS, "eos_token_id": 3, "bos_token_id": None, "pad_token_id": None}
        return LlamaForCausalLM(LlamaConfig(**sizes, **ids, max_position_embeddings=96, initializer_range=0.4)).double()

    words = Tokenizer(models.WordLevel({f"t{i}": i for i in range(N_TOKENS)}, unk_token="t0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words)
    return ModelPair(base=llama(0, 3), proxy=llama(1, 1), tokenizer=tokenizer, reference=llama(2, 1))


@pytest.fixture
def settings(settings):
    return dataclasses.replace(settings, parameters={"alpha": 0.1}, mode="speculative", window=3, max_new_tokens=12)


def parameters_of(name):
    """Of a rule of the registry: those without a default, at a value at which both models write."""
    wanted = inspect.signature(rules.REGISTRY[name]).parameters
    needed = [key for key, one in wanted.items() if one.default is inspect.Parameter.empty]
    return {key: {"alpha": 0.1, "budget": 0.3, "k": 3}.get(key, 0.5) for key in needed}


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
@pytest.mark.parametrize("rule", rules.REGISTRY)
def test_the_sums_over_records_are_the_decoders_own_counts(tmp_path, pair, settings, data, rule, mode):
    """Fails when what a record says of its drafts, cycles, tokens or mass is not what the decoder counted."""
    parameters = parameters_of(rule)
    settings = dataclasses.replace(settings, rule=rule, parameters=parameters, mode=mode, rows=0)
    summary = run(pair, settings, tmp_path, data=data, batch_size=10)
    prompts = [question.prompt for question in tasks.get(settings.task).questions(data=data)]
    chosen = rules.make(rule, **parameters)
    stats = generate(pair, prompts, chosen, mode=mode, window=3, max_new_tokens=12, seed=5, batch_size=10).stats
    records = read_records(tmp_path / settings.slug / "records.jsonl")
    for name in ("n_tokens", "n_tested", "n_accepted", "n_cycles"):
        assert sum(record[name] for record in records) == getattr(stats, name)
    assert (stats.n_cycles > 0) == (mode == "speculative" and rule != "always")
    assert summary.acceptance_rate == stats.acceptance_rate
    assert summary.mean_accepted_length == stats.mean_accepted_length
    assert summary.deferral_rate == pytest.approx(stats.deferral_rate, rel=1e-12)


def test_a_run_cut_anywhere_with_any_batch_size_has_the_same_records(tmp_path, pair, settings, data):
    """Fails when a reply depends on its neighbours, on the batch size, or on where the run was interrupted."""
    run(pair, settings, tmp_path / "straight", data=data, batch_size=16)
    straight = tmp_path / "straight" / settings.slug
    lines = (straight / "records.jsonl").read_bytes().splitlines(keepends=True)

    def told(path):
        records = [{name: record[name] for name in record if name != "seconds"} for record in read_records(path)]
        masses = np.array([record.pop("deferral_mass") for record in records])
        return records, masses

    for n_kept, batch_size in [(0, 1), (3, 4), (7, 2), (9, 16)]:
        folder = tmp_path / f"cut{n_kept}" / settings.slug
        folder.mkdir(parents=True)
        (folder / "settings.json").write_bytes((straight / "settings.json").read_bytes())
        (folder / "rows.npz").write_bytes((straight / "rows.npz").read_bytes())
        (folder / "records.jsonl").write_bytes(b"".join(lines[:n_kept]) + lines[n_kept][:50])
        run(pair, settings, folder.parent, data=data, batch_size=batch_size)
        (records, masses), (wanted, wanted_masses) = (told(path / "records.jsonl") for path in (folder, straight))
        assert records == wanted
        np.testing.assert_allclose(masses, wanted_masses, rtol=1e-12)  # a batch may round the last bits otherwise


def test_the_proxy_may_read_every_prompt_as_a_chat(tmp_path, pair, settings, data):
    """Fails when the template reaches the base, does not reach the proxy, or another one goes on with the records."""
    tokenizer = copy.deepcopy(pair.tokenizer)
    tokenizer.chat_template = "t7 {{ messages[0].content }} t8"
    asked = dataclasses.replace(settings, proxy_chat=True, rows=0)
    chatting = ModelPair(pair.base, pair.proxy, pair.tokenizer, proxy_tokenizer=tokenizer)
    run(chatting, asked, tmp_path, data=data)
    questions = tasks.get(settings.task).questions(data=data)
    prompts = [question.prompt for question in questions]
    own = [f"t7 {question.message} t8" for question in questions]
    rule = rules.Dual(0.1)
    wanted = generate(
        pair, prompts, rule, mode="speculative", window=3, max_new_tokens=12, seed=5, proxy_prompts=own
    ).texts
    assert [record["reply"] for record in read_records(tmp_path / settings.slug / "records.jsonl")] == wanted
    assert wanted != generate(pair, prompts, rule, mode="speculative", window=3, max_new_tokens=12, seed=5).texts
    tokenizer.chat_template = "t6 {{ messages[0].content }} t8"
    with pytest.raises(InputError, match=r'got chat_template "[0-9a-f]+'):
        run(chatting, asked, tmp_path, data=data)
    with pytest.raises(InputError, match="must have a chat template"):
        run(pair, asked, tmp_path / "without", data=data)
    assert not (tmp_path / "without").exists()


class Clock(datetime.datetime):
    """The time that a chat template reads; a year passes when it is told to."""

    year_now = 2024

    @classmethod
    def now(cls, tz=None):
        return datetime.datetime(cls.year_now, 1, 1)


def test_a_chat_template_that_writes_the_date_goes_on_with_the_first_one(tmp_path, pair, settings, data, monkeypatch):
    """Fails when a run cannot go on on the next day, goes on with other prompts, or a grid mixes two days."""
    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", Clock)
    tokenizer = copy.deepcopy(pair.tokenizer)
    tokenizer.chat_template = "t{{ strftime_now('%y') | int - 20 }} {{ messages[0].content }} t8"
    chatting = ModelPair(pair.base, pair.proxy, pair.tokenizer, proxy_tokenizer=tokenizer)
    asked = dataclasses.replace(settings, proxy_chat=True, rows=0)
    other = dataclasses.replace(asked, seed=6)

    def told(folder, one=asked):
        return [record["reply"] for record in read_records(folder / one.slug / "records.jsonl")]

    run_grid(chatting, [asked, other], tmp_path / "whole", data=data)
    for start, name in ((run, "one"), (lambda p, s, o, data: run_grid(p, [s, other], o, data=data), "grid")):
        Clock.year_now = 2024
        out = tmp_path / name
        start(chatting, asked, out, data=data)
        records = out / asked.slug / "records.jsonl"
        records.write_bytes(b"".join(records.read_bytes().splitlines(keepends=True)[:4]))
        if name == "grid":
            shutil.rmtree(out / other.slug)
        Clock.year_now = 2028
        start(chatting, asked, out, data=data)
        assert told(out) == told(tmp_path / "whole")
    assert told(tmp_path / "grid", other) == told(tmp_path / "whole", other)
    run(chatting, asked, tmp_path / "later", data=data)
    assert told(tmp_path / "later") != told(tmp_path / "whole")  # the date does matter here
    (tmp_path / "one" / asked.slug / "proxy_prompts.json").unlink()
    with pytest.raises(InputError, match=r"proxy_prompts\.json must be there beside the records"):
        run(chatting, asked, tmp_path / "one", data=data)
    Clock.year_now = 2024


def test_the_kept_rows_are_the_bases_laws_where_they_say(tmp_path, pair, settings, data):
    """Fails when a row is another position's, another question's, or the law at the temperature of the draws."""
    settings = dataclasses.replace(settings, temperature=0.5)
    run(pair, settings, tmp_path, data=data)
    prompts = [question.prompt for question in tasks.get(settings.task).questions(data=data)]
    replies = generate(
        pair, prompts, rules.Dual(0.1), mode="speculative", window=3, max_new_tokens=12, temperature=0.5, seed=5
    )
    with np.load(tmp_path / settings.slug / "rows.npz") as rows:
        assert rows["p"].shape == (settings.rows, N_TOKENS)
        for p, question, position in zip(rows["p"], rows["question"], rows["position"], strict=True):
            text = pair.tokenizer(prompts[question])["input_ids"] + replies.token_ids[question][:position]
            with torch.no_grad():
                law = pair.base(torch.tensor([text])).logits[0, -1].softmax(-1)
            np.testing.assert_allclose(p, law.numpy(), atol=1e-6)


def test_a_rule_that_never_asks_the_base_keeps_no_rows(tmp_path, pair, settings, data):
    """Fails when the proxy alone, for which the base never runs, cannot be run with `rows`, or resumed."""
    settings = dataclasses.replace(settings, rule="always", parameters={})
    first = run(pair, settings, tmp_path, data=data)
    assert run(pair, settings, tmp_path, data=data) == first
    assert first == summarise(read_records(tmp_path / settings.slug / "records.jsonl"))
    assert not (tmp_path / settings.slug / "rows.npz").exists()
