"""What analysis/peers.md says of transformers, tried on the installed release, and that every test it names exists.

The claims are about transformers 5.23. Under another release their tests are skipped, and the table is to be redone.
"""

import ast
import copy
import re
from pathlib import Path

import pytest
import torch
import transformers
from tiny_models import llama, tiny_pair, word_tokenizer

from proxyalign.deferral import rules
from proxyalign.models import load_pair

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "analysis" / "peers.md"
PROMPT = [1, 2, 3]

of_the_release = pytest.mark.skipif(
    not transformers.__version__.startswith("5.23."), reason="analysis/peers.md speaks of transformers 5.23"
)


@pytest.fixture
def pair():
    return tiny_pair(llama, 12)


def generate(model, prompts=(PROMPT,), **settings):
    """What model.generate answers, greedily unless told otherwise: the new tokens of each row."""
    ids = torch.tensor([list(prompt) for prompt in prompts])
    usual = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 20, "do_sample": False, "pad_token_id": 0}
    return model.generate(ids, **(usual | settings))[:, ids.shape[1] :].tolist()


def drafting(model, window):
    """A copy of the model that drafts `window` tokens a cycle, however unsure it is of them."""
    twin = copy.deepcopy(model)
    twin.generation_config.num_assistant_tokens = window
    twin.generation_config.num_assistant_tokens_schedule = "constant"
    twin.generation_config.assistant_confidence_threshold = 0.0
    return twin


REFUSED = [
    ({"prompts": [[1, 2, 3], [2, 3, 4]]}, "assisted generate is only supported for batch_size = 1"),
    ({"do_sample": True, "num_return_sequences": 2}, "num_return_sequences has to be 1 when doing assisted generate"),
    ({"cache_implementation": "static"}, "assisted generate is not supported with Static cache classes"),
    ({"rule": "dual"}, r"`model_kwargs` are not used by the model: \['rule'\]"),
]


@of_the_release
@pytest.mark.parametrize(("change", "told"), REFUSED, ids=["batch", "samples", "static cache", "rule"])
def test_assisted_generation_refuses(pair, change, told):
    """Fails when transformers has learnt it: then the table understates transformers."""
    with pytest.raises(ValueError, match=told):
        generate(pair.base, assistant_model=pair.proxy, **change)


@of_the_release
def test_assisted_generation_refuses_a_recurrent_model(pair):
    """Fails when a state that no crop takes back is decoded from."""
    config = transformers.MambaConfig(vocab_size=12, hidden_size=8, num_hidden_layers=1)
    with pytest.raises(ValueError, match="assisted generation is not supported with stateful models"):
        generate(transformers.MambaForCausalLM(config).double(), assistant_model=pair.proxy)


@of_the_release
def test_assisted_generation_is_greedy_as_plain_generation_is(pair):
    """Fails when drafts change a greedy text in float64, with processors and several ends or without."""
    shaped = {"min_new_tokens": 4, "eos_token_id": [5, 8], "repetition_penalty": 1.3, "suppress_tokens": [3]}
    plain = [generate(pair.base, **settings) for settings in ({}, shaped)]
    assert plain[0] != plain[1]
    for window in (1, 3, 6):
        proxy = drafting(pair.proxy, window)
        assert [generate(pair.base, assistant_model=proxy, **settings) for settings in ({}, shaped)] == plain


@of_the_release
def test_assisted_generation_emits_the_bonus_token(pair):
    """Fails when a window of 4 accepted drafts gives fewer than 5 tokens a pass of the large model."""
    passes = []
    twin = drafting(pair.base, 4)
    pair.base.register_forward_hook(lambda *_: passes.append(1))
    assert len(generate(pair.base, assistant_model=twin)[0]) == 20
    assert len(passes) == 4


@of_the_release
def test_the_ensemble_of_assisted_generation_is_not_the_mixture(pair):
    """Fails when the bonus, too, is drawn from w p + (1 - w) q: the greedy text would then be that of the mixture."""
    weight, ids = 0.01, list(PROMPT)
    for _ in range(20):
        with torch.no_grad():
            p, q = (model(torch.tensor([ids])).logits[0, -1].softmax(-1) for model in (pair.base, pair.proxy))
        ids.append(int((weight * p + (1 - weight) * q).argmax()))
    found = generate(pair.base, assistant_model=drafting(pair.proxy, 4), assistant_ensemble_weight=weight)[0]
    expected = ids[len(PROMPT) :]
    assert found[:4] == expected[:4]  # the drafts pass, so that the fifth token is the bonus
    assert found[4] != expected[4]
    with torch.no_grad():
        p = pair.base(torch.tensor([PROMPT + found[:4]])).logits[0, -1]
    assert found[4] == int(p.argmax())


@of_the_release
def test_assisted_generation_changes_its_window(pair):
    """Fails when the heuristic schedule is gone."""
    proxy = drafting(pair.proxy, 5)
    proxy.generation_config.num_assistant_tokens_schedule = "heuristic"
    generate(pair.base, assistant_model=proxy)
    assert proxy.generation_config.num_assistant_tokens != 5


@of_the_release
def test_assisted_generation_streams(pair):
    """Fails when tokens come at the end alone."""
    pieces = []

    class Streamer:
        def put(self, value):
            pieces.append(value.flatten().tolist())

        def end(self):
            pieces.append("end")

    answer = generate(pair.base, assistant_model=pair.proxy, streamer=Streamer())[0]
    assert pieces[0] == PROMPT
    assert pieces.pop() == "end"
    assert [token for piece in pieces[1:] for token in piece] == answer
    assert len(pieces) > 3


@of_the_release
def test_assisted_generation_does_not_stop_inside_a_window(pair):
    """Fails when a stopping criterion that holds at an accepted draft ends the text there."""
    plain = generate(pair.base)[0]
    last = plain[6]
    place = plain.index(last) + 1

    class Stop(transformers.StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            return input_ids[:, -1] == last

    twin = drafting(pair.base, 4)
    assert place % 5 != 0  # else it is the last token of a cycle
    assert generate(pair.base, stopping_criteria=[Stop()])[0] == plain[:place]
    assert len(generate(pair.base, stopping_criteria=[Stop()], assistant_model=twin)[0]) > place


@of_the_release
def test_assisted_generation_has_no_stop_strings():
    """Fails when the assistant is given the tokenizer that stop strings need, as plain generation is."""
    lab = load_pair("lab", offline=True)
    prompt = lab.tokenizer("Where does the").input_ids
    whole = generate(lab.base, [prompt])[0]
    settings = {"stop_strings": [lab.tokenizer.decode(whole[4:6])], "tokenizer": lab.tokenizer}
    assert len(generate(lab.base, [prompt], **settings)[0]) < len(whole)
    with pytest.raises(ValueError, match="you must pass the model's tokenizer to the `tokenizer` argument"):
        generate(lab.base, [prompt], assistant_model=lab.proxy, **settings)


@of_the_release
def test_another_tokenizer_or_width_needs_both_tokenizers_and_then_decodes(pair):
    """Fails when widths alone no longer stop it, or a drafter of another vocabulary changes a greedy text."""
    wider = llama(14, 1, layers=1).double()
    with pytest.raises(ValueError, match="Please provide `tokenizer` and `assistant_tokenizer`"):
        generate(pair.base, assistant_model=wider)
    both = {"tokenizer": word_tokenizer(12), "assistant_tokenizer": word_tokenizer(14)}
    assert generate(pair.base, assistant_model=wider, **both) == generate(pair.base)


@of_the_release
def test_a_sample_depends_on_its_neighbours(pair):
    """Fails when each row of a batch draws from a stream of its own."""
    rows = []
    for prompts in ([PROMPT], [PROMPT, [4, 5, 6]]):
        torch.manual_seed(3)
        rows.append(generate(pair.base, prompts, do_sample=True, top_k=0)[0])
    assert rows[0] != rows[1]


@of_the_release
def test_greedy_generation_from_nan_is_token_0_without_a_word(pair):
    """Fails when NaN is told; sampling stops in torch, which names no model."""
    with torch.no_grad():
        pair.base.lm_head.weight.fill_(torch.nan)
    assert generate(pair.base) == [[0] * 20]
    with pytest.raises(RuntimeError, match="probability tensor contains either `inf`, `nan`"):
        generate(pair.base, do_sample=True)


@of_the_release
def test_generate_batch_serves_prompts_as_places_come_free(pair):
    """Fails when continuous batching changes a greedy text, or cannot run without an accelerator."""
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    prompts = [[1, 2, 3], [4, 5], [6], [7, 8, 9, 1]]
    settings = transformers.GenerationConfig(max_new_tokens=5, do_sample=False, eos_token_id=-1, pad_token_id=0)
    small = ContinuousBatchingConfig(num_blocks=8, max_batch_tokens=16, max_requests_per_batch=2)  # else all memory
    served = pair.base.generate_batch(
        prompts, generation_config=settings, continuous_batching_config=small, progress_bar=False
    )
    expected = [generate(pair.base, [prompt], max_new_tokens=5)[0] for prompt in prompts]
    assert sorted(one.generated_tokens for one in served.values()) == sorted(expected)


def test_every_test_that_the_table_names_is_there():
    """Fails when a test is renamed or removed and the table still points to it, or a link leads nowhere."""
    text = TABLE.read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 30
    for path, name in named:
        assert (ROOT / path).is_file(), path
        body = ast.parse((ROOT / path).read_text()).body
        functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
        assert not name or name in functions, f"{path}::{name}"
    assert text.count("tests/") == len(named)  # none is written in a way that this test does not see
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (TABLE.parent / link).exists(), link


def test_every_row_about_proxyalign_names_a_test_or_says_no():
    """Fails when a claim about proxyalign is made without a test, or a row has lost a cell."""
    text = TABLE.read_text()
    lines = [line for line in text[text.index("| feature |") :].splitlines() if line.startswith("|")]
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert header[1:] == ["proxyalign", "authors' code", "nudging", "proxy-tuning", "transformers", "vLLM"]
    assert len(rows) > 20
    assert f"| Rules | {len(rules.table())} names" in text
    for row in rows:
        assert len(row) == len(header), row[0]
        assert all(row), row[0]
        assert "`tests/" in row[1] or row[1].startswith(("no", "not tried")), row[0]
        for cell in row[2:]:
            assert re.search(r"\b[TRS]\b|not tried|^-$", cell), (row[0], cell)
