"""The pair as a model of lm-evaluation-harness: its tasks run on it, and get the engine's answers and likelihoods."""

import json
import math
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from tiny_models import gpt2, llama, word_tokenizer
from tokenizers.processors import TemplateProcessing

from proxyalign.decoding import generate
from proxyalign.decoding.scoring import score
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import ModelPair

N_TOKENS = 12
PROMPTS = ["t1 t2 t3", "t4", "t9 t8 t7 t6 t5"]
RULE = rules.Dual(0.4)

lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is not installed (extra [lm-eval])")


@pytest.fixture(scope="module")
def pair():
    settings = {"context": 24, "eos_token_id": 11}
    base, proxy = llama(N_TOKENS, 0, layers=3, **settings).double(), gpt2(N_TOKENS, 1, **settings).double()
    return ModelPair(base, proxy, word_tokenizer(N_TOKENS, eos_token="t11"))


@pytest.fixture
def model(pair):
    from proxyalign.evaluation.harness import ProxyAlignLM

    return ProxyAlignLM(pair=pair, rule="dual", alpha=0.4, batch_size=2, max_gen_toks=8)


def requests(*arguments):
    return [SimpleNamespace(args=one) for one in arguments]


def test_answers_are_those_of_generate_cut_before_a_stop_string(model, pair):
    """Fails when prompts are mixed up by sorting, a setting is not obeyed, or the stop string stays in the answer."""
    greedy = {"until": [], "do_sample": False}
    expected = generate(pair, PROMPTS, RULE, temperature=0, max_new_tokens=8).texts
    assert model.generate_until(requests(*((prompt, greedy) for prompt in PROMPTS)), disable_tqdm=True) == expected
    word = expected[0].split()[2]
    cut, short = model.generate_until(
        requests((PROMPTS[0], greedy | {"until": ["", word]}), (PROMPTS[0], greedy | {"max_gen_toks": 2}))
    )
    assert cut == expected[0].split(word)[0]
    assert short.split() == expected[0].split()[:2]


def test_sampled_repeats_differ_and_a_run_can_be_repeated(model):
    """Fails when equal requests share a stream, or the batch size changes a sample."""
    sampled = {"do_sample": True, "temperature": 1.0}
    asked = requests(*([("t1 t2", sampled)] * 6))
    first = model.generate_until(asked)
    assert len(set(first)) > 3
    model.batch_size = 6
    assert model.generate_until(asked) == first


def test_likelihoods_are_the_laws(model, pair):
    """Fails when context and continuation are cut elsewhere than between them, or greedy means something else."""
    asked = requests(("t1 t2 t3", " t4"), ("t5", " t6 t7"), ("", "t1 t2"))
    expected = score(pair, RULE, [[1, 2, 3], [5], [11]], [[4], [6, 7], [1, 2]])
    found = model.loglikelihood(asked, disable_tqdm=True)
    for (log_prob, greedy), one in zip(found, expected, strict=True):
        assert log_prob == pytest.approx(one.log_probs.sum(), abs=1e-9)
        assert greedy == one.is_greedy.all()
    ids = generate(pair, [[1, 2, 3]], RULE, temperature=0, max_new_tokens=3).token_ids[0]
    assert model.loglikelihood(requests(("t1 t2 t3", " " + " ".join(f"t{i}" for i in ids))))[0][1]


def test_a_long_text_is_scored_in_windows_and_a_long_context_is_cut(model, pair):
    """Fails when a token is scored twice or not at all, or a text longer than the context stops the run."""
    ids = [i % 10 for i in range(40)]
    text = " ".join(f"t{i}" for i in ids)
    contexts, pieces = [[11], ids[23:24]], [ids[:24], ids[24:40]]
    contexts[1] = ids[15:24]  # the last window reads as much before it as fits
    expected = sum(one.log_probs.sum() for one in score(pair, RULE, contexts, pieces))
    assert model.loglikelihood_rolling(requests((text,)), disable_tqdm=True) == pytest.approx([expected])
    cut = score(pair, RULE, [ids[-24:]], [[3]])[0].log_probs.sum()
    assert model.loglikelihood(requests((text, " t3")))[0][0] == pytest.approx(cut)
    last = generate(pair, [ids[-16:]], RULE, temperature=0, max_new_tokens=8).texts
    assert model.generate_until(requests((text, {"do_sample": False}))) == last


def test_the_proxy_may_read_every_prompt_as_a_chat(pair):
    """Fails when an answer or a likelihood is of the base reading the template, or of the proxy not reading it."""
    from proxyalign.evaluation.harness import ProxyAlignLM

    tokenizer = word_tokenizer(N_TOKENS, eos_token="t11")
    tokenizer.chat_template = "t7 {{ messages[0].content }} t8"
    of_base = word_tokenizer(N_TOKENS, eos_token="t11")
    of_base.name_or_path, tokenizer.name_or_path = "one", "two"
    chatting = ModelPair(pair.base, pair.proxy, of_base, proxy_tokenizer=tokenizer)
    model = ProxyAlignLM(pair=chatting, rule="dual", alpha=0.4, batch_size=2, max_gen_toks=8, proxy_chat=True)
    own = [f"t7 {prompt} t8" for prompt in PROMPTS]
    wanted = generate(pair, PROMPTS, RULE, temperature=0, max_new_tokens=8, proxy_prompts=own).texts
    greedy = requests(*((prompt, {"do_sample": False}) for prompt in PROMPTS))
    assert model.generate_until(greedy, disable_tqdm=True) == wanted
    assert wanted != generate(pair, PROMPTS, RULE, temperature=0, max_new_tokens=8).texts
    ids, own_ids = ([pair.encode(text) for text in texts] for texts in (PROMPTS, own))
    scores = score(pair, RULE, ids, [[3, 5]] * 3, proxy_contexts=own_ids)
    found = model.loglikelihood(requests(*((prompt, " t3 t5") for prompt in PROMPTS)))
    assert [one for one, _ in found] == pytest.approx([one.log_probs.sum() for one in scores])
    assert model.tokenizer_name == "one+two"
    assert model.chat_template(True) == tokenizer.chat_template
    assert model.chat_template(False) is None
    with pytest.raises(InputError, match="must be applied once"):
        model.apply_chat_template([{"role": "user", "content": "t1"}])
    with pytest.raises(InputError, match="must have a chat template"):
        ProxyAlignLM(pair=pair, rule="dual", alpha=0.4, proxy_chat=True)


def around(template, *ids):
    """A tokenizer that writes special tokens around each text."""
    tokenizer = word_tokenizer(N_TOKENS, bos_token="t9", eos_token="t10", additional_special_tokens=["t8"])
    special = [(f"t{i}", i) for i in ids]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=special)
    return tokenizer


@pytest.mark.parametrize(
    ("template", "special", "opening"),
    [("$A", [], [9]), ("t9 $A", [9], [9]), ("$A t10", [10], [9]), ("t9 $A t10", [9, 10], [9]),
     ("t8 t9 $A t10", [8, 9, 10], [8, 9])],
)  # fmt: skip
def test_what_a_tokenizer_writes_around_a_text_is_never_scored(pair, template, special, opening):
    """Fails when a first or a closing token counts as text, in whole texts, continuations or prompts, or is lacking."""
    from proxyalign.evaluation.harness import ProxyAlignLM

    here = ModelPair(pair.base, pair.proxy, around(template, *special))
    model = ProxyAlignLM(pair=here, rule="dual", alpha=0.4, batch_size=3, max_gen_toks=4)
    assert model.prefix_token_id == opening[-1]
    first = opening if special != [10] and special else []

    def of(context, ids):
        return score(pair, RULE, [context], [ids])[0].log_probs.sum()

    spelled = " ".join(f"t{i}" for i in opening)
    whole = model.loglikelihood_rolling(requests(("t1 t2 t3",), (f"{spelled} t1 t2 t3",)), disable_tqdm=True)
    assert whole == pytest.approx([of(opening, [1, 2, 3])] * 2)
    asked = requests(("", "t1 t2"), (" ", "t1 t2"), ("t4", " t1 t2"), ("t4 ", "t1"))
    found = [one for one, _ in model.loglikelihood(asked, disable_tqdm=True)]
    wanted = [of(opening, [1, 2]), of(opening, [1, 2]), of([*first, 4], [1, 2]), of([*first, 4], [1])]
    assert found == pytest.approx(wanted)
    answered = generate(here, [[*first, 4]], RULE, temperature=0, max_new_tokens=4).texts
    assert model.generate_until(requests(("t4", {"do_sample": False})), disable_tqdm=True) == answered


def test_special_tokens_are_not_added_twice(model, pair):
    """Fails when a chat template's own first token gets a second one before it."""
    model.pair = ModelPair(pair.base, pair.proxy, around("t9 $A", 9))
    model.tokenizer = model.pair.tokenizer
    assert model.tok_encode("t9 t1") == model.tok_encode("t1") == [9, 1]
    assert model.tok_encode("t1", add_special_tokens=False) == [1]


GREEDY = ([], 8, 0.0)
READ = [
    ({}, GREEDY),
    ({"do_sample": False}, GREEDY),
    *(({"do_sample": word, "temperature": 0.7}, GREEDY) for word in ("False", "false", "FALSE", "no", "off", "0", 0)),
    *(({"do_sample": word}, ([], 8, 1.0)) for word in ("True", "yes", "1", 1, True)),
    ({"temperature": "0"}, GREEDY),
    ({"temperature": "0.0", "do_sample": "true"}, GREEDY),
    ({"temperature": "0.7"}, ([], 8, 0.7)),
    ({"temperature": "None", "do_sample": None, "until": None, "max_gen_toks": "null"}, GREEDY),
    ({"max_gen_toks": "16"}, ([], 16, 0.0)),
    ({"max_new_tokens": 16.0}, ([], 16, 0.0)),
    ({"until": "stop"}, (["stop"], 8, 0.0)),
    ({"until": ("a", "", "b")}, (["a", "b"], 8, 0.0)),
    ({"top_p": "1.0", "num_beams": "1", "do_sample": "true"}, ([], 8, 1.0)),
]


@pytest.mark.parametrize(("settings", "wanted"), READ)
def test_settings_that_come_as_text_mean_what_they_spell(settings, wanted):
    """Fails when any text counts as true, or a number that is written out is compared or passed on as text."""
    from proxyalign.evaluation.harness_settings import read_generation

    found = read_generation(settings, 8)
    assert found == wanted
    assert type(found.max_new_tokens) is int
    assert type(found.temperature) is float


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"do_sample": "maybe"}, "do_sample must be true or false, got 'maybe'"),
        ({"do_sample": 2}, "do_sample must be"),
        ({"temperature": "hot"}, "temperature must be a finite number of at least 0, got 'hot'"),
        ({"temperature": "nan"}, "temperature must be"),
        ({"temperature": -1}, "temperature must be"),
        ({"max_gen_toks": "many"}, "max_gen_toks must be a whole number of at least 1, got 'many'"),
        ({"max_gen_toks": 16.5}, "max_gen_toks must be"),
        ({"max_gen_toks": "0"}, "max_gen_toks must be"),
        ({"until": 5}, "until must be a text or a list of texts, got 5"),
        ({"until": [5]}, "until must be"),
        ({"top_p": "0.9", "do_sample": "1"}, "got top_p='0.9'"),
    ],
)
def test_settings_that_spell_nothing_are_refused(settings, told):
    """Fails when a wrong setting is taken for another, or ends in a traceback."""
    from proxyalign.evaluation.harness_settings import read_generation

    with pytest.raises(InputError, match=re.escape(told)):
        read_generation(settings, 8)


REFUSED = [
    ({"do_sample": True, "top_p": 0.9}, r"got top_p=0.9; change it with --gen_kwargs"),
    ({"num_beams": 4}, "got num_beams=4"),
]


@pytest.mark.parametrize(("settings", "told"), REFUSED)
def test_generation_settings_without_a_meaning_here_are_refused(model, settings, told):
    """Fails when a task's truncation is dropped without a word."""
    with pytest.raises(InputError, match=told):
        model.generate_until(requests(("t1", settings)))
    idle = {"do_sample": False, "top_p": 0.9, "num_beams": 1, "temperature": 0.0}
    assert len(model.generate_until(requests(("t1", idle)))) == 1


def test_model_arguments_that_come_as_text_mean_what_they_spell(pair):
    """Fails when proxy_chat=no switches it on, or a number of the command line is refused late or compared as text."""
    from proxyalign.evaluation.harness import ProxyAlignLM

    texts = {"batch_size": "2", "max_gen_toks": "8", "seed": "0", "window": "3", "proxy_chat": "no"}
    model = ProxyAlignLM(pair=pair, rule="dual", alpha=0.4, mode="speculative", **texts)
    wanted = generate(pair, PROMPTS, RULE, mode="speculative", window=3, temperature=0, max_new_tokens=8).texts
    assert model.generate_until(requests(*((prompt, {"do_sample": "no"}) for prompt in PROMPTS))) == wanted
    assert ProxyAlignLM(pair=pair, rule="dual", alpha=0.4, window="auto")._window == "auto"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": "-1"}, "seed must be a whole number of at least 0"),
        ({"window": "wide"}, "window must be"),
        ({"proxy_chat": "perhaps"}, "proxy_chat must be true or false"),
        ({"batch_size": "auto"}, "batch_size must be a whole number"),
        ({"budget": 0.3}, "dual takes alpha"),
    ],
)
def test_model_arguments_are_checked(pair, change, told):
    """Fails when a wrong argument waits until the first batch to break."""
    from proxyalign.evaluation.harness import ProxyAlignLM

    with pytest.raises(InputError, match=told):
        ProxyAlignLM(**({"pair": pair, "rule": "dual", "alpha": 0.4} | change))


def task(folder, name, kind, **settings):
    """A task of the harness on six questions, from a file as its own local tasks are."""
    rows = [{"question": f"t{i} t{i + 1}", "answer": f"t{(5 * i) % 7}"} for i in range(6)]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"data_files": {"test": str(folder / "test.jsonl")}, "cache_dir": str(folder / "cache")}
    common = {"task": name, "output_type": kind, "test_split": "test", "doc_to_text": "{{question}}"}
    return common | {"dataset_path": "json", "dataset_kwargs": data} | settings


def test_the_harness_runs_its_tasks_on_two_checkpoints(pair, tmp_path):
    """Fails when the harness cannot find the model, make it from its argument string, or run a kind of task on it."""
    pytest.importorskip("datasets", reason="datasets is not installed (extra [lm-eval])")
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    import proxyalign.evaluation.harness  # noqa: F401 (makes the name known)

    for role in ("base", "proxy"):
        getattr(pair, role).to(torch.float64).save_pretrained(tmp_path / role)
        pair.tokenizer.save_pretrained(tmp_path / role)
    tasks = [
        task(
            tmp_path, "choice", "multiple_choice", doc_to_choice=[f"t{i}" for i in range(7)], doc_to_target="{{answer}}"
        ),
        task(tmp_path, "answer", "generate_until", doc_to_target="{{answer}}", generation_kwargs={"max_gen_toks": 3}),
        task(tmp_path, "rolling", "loglikelihood_rolling", doc_to_target="{{question}}", doc_to_text=""),
    ]
    found = simple_evaluate(
        model="proxyalign",
        model_args=f"base={tmp_path / 'base'},proxy={tmp_path / 'proxy'},rule=dual,alpha=0.4,dtype=float64",
        tasks=tasks,
        batch_size=3,
        task_manager=TaskManager(include_defaults=False),  # its own tasks are thousands of files
        bootstrap_iters=0,
    )
    n = 6
    contexts = [[i, i + 1] for i in range(n)]
    best = []
    for context in contexts:
        scores = score(pair, RULE, [context] * 7, [[i] for i in range(7)])
        best.append(max(range(7), key=lambda i: scores[i].log_probs[0]))
    accuracy = sum(choice == (5 * i) % 7 for i, choice in enumerate(best)) / n
    assert found["results"]["choice"]["acc,none"] == pytest.approx(accuracy)
    texts = [sample["resps"][0][0] for sample in sorted(found["samples"]["answer"], key=lambda one: one["doc_id"])]
    assert texts == generate(pair, contexts, RULE, temperature=0, max_new_tokens=3).texts
    total = sum(one.log_probs.sum() for one in score(pair, RULE, [[11]] * n, contexts))
    perplexity = found["results"]["rolling"]["word_perplexity,none"]
    assert perplexity == pytest.approx(math.exp(-total / (2 * n)), rel=1e-6)


def test_without_the_harness_one_sentence_tells_what_to_install(monkeypatch):
    """Fails when a missing extra is told by somebody else's traceback."""
    monkeypatch.setitem(sys.modules, "lm_eval.api.model", None)
    monkeypatch.delitem(sys.modules, "proxyalign.evaluation.harness", raising=False)
    with pytest.raises(ImportError, match=r"run pip install 'proxyalign\[lm-eval\]'"):
        import proxyalign.evaluation.harness  # noqa: F401
