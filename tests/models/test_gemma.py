"""The real pair's models, where their packages are installed: what was converted is the model that was published.

The ids below are those of llama.cpp (commit 0c1e570, `llama-server`'s /tokenize) on the same GGUF files. It and the
converted tokenizers agreed on 2,640 texts of benchmarks, licences, code and random Unicode, but for the sign "▁", which
Gemma's pieces write a blank as, and runs of over 31 blanks, which llama.cpp cuts into other runs.
"""

import pytest
import torch

from proxyalign import generate, rules
from proxyalign.models import load_pair
from proxyalign.models.causal import has_gemma, has_smol, load_causal

PROSE = (
    "The lighthouse stood at the end of a long spit of shingle, and in winter the keeper walked the two miles to the "
    "village only on Sundays. He kept bees in summer, and sold the honey to the baker, who put a spoonful into every "
    "loaf and said nothing about it. When the new road was built, the baker's son bought a van and drove the bread to "
    "the towns along the coast, and within a year there was a second oven and a girl from the school to keep the "
    "accounts."
)

needs_gemma = pytest.mark.skipif(not has_gemma(), reason="the packages of Gemma 3 270M are not installed")
needs_smol = pytest.mark.skipif(not has_smol(), reason="the package of SmolLM2 is not installed")
pytestmark = pytest.mark.slow  # the first time, when the files are converted


def perplexity(model, tokenizer):
    ids = tokenizer(PROSE, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return float(model(ids, labels=ids).loss.exp())


@needs_gemma
def test_gemma_is_a_sane_model_of_english():
    """Fails when the law is not the one that was measured, whose likeliest token was llama.cpp's after each of 13 texts
    of 40 to 1,400 tokens: the perplexity is 45 with one base of positions for all layers, 33 with the pattern of layers
    shifted by one, and millions with the norms off by one."""
    model, tokenizer, source = load_causal("gemma")
    assert source == {"model": "gemma", "gguf_file": "gemma-3-270m-q4_k_m.gguf"}
    assert perplexity(model, tokenizer) == pytest.approx(27.92, abs=0.2)
    config = model.config
    shape = (config.num_hidden_layers, config.hidden_size, config.sliding_window, config.vocab_size)
    assert shape == (18, 640, 512, 262_144)
    assert [i for i, kind in enumerate(config.layer_types) if kind == "full_attention"] == [5, 11, 17]
    assert {kind: rope["rope_theta"] for kind, rope in config.rope_parameters.items()} == {
        "full_attention": 1e6,
        "sliding_attention": 1e4,
    }


@needs_gemma
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello  world\n\n<b>x</b>   1", [2, 9259, 138, 12392, 108, 200, 236781, 209, 139, 236770]),
        ("a  b   c\n\n\n- d ½ \u200b", [2, 236746, 138, 236763, 139, 236755, 109, 236772, 513, 47041, 36504]),
        ("<table><tr>don't</tr>", [2, 168, 173, 13246, 236789, 236745, 181]),
        ("日本語 😀\r\n\t\tx = 1_0", [2, 94951, 163543, 251, 107, 255969, 236781, 578, 236743, 236770, 236779, 236771]),
    ],
)
def test_gemmas_tokens_are_those_of_llama_cpp(text, ids):
    """Fails when a start token is missing, a dummy blank is written, or runs and tags are cut up."""
    _, tokenizer, _ = load_causal("gemma")
    assert tokenizer(text)["input_ids"] == ids
    assert tokenizer.decode(ids[1:]) == text


@needs_smol
def test_smollms_tokens_are_those_of_llama_cpp():
    """Fails when blanks before a digit are split off; the template of chats ends in the line of the assistant."""
    model, tokenizer, source = load_causal("smol")
    assert source == {"model": "smol", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
    assert tokenizer("Hello  world\n\n1. x")["input_ids"] == [19556, 216, 905, 1116, 33, 30, 1792]
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert asked.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert perplexity(model, tokenizer) == pytest.approx(31.74, abs=0.2)


@needs_gemma
@needs_smol
def test_the_pair_decodes_by_pieces_of_both():
    """Fails when the few bytes that SmolLM2 has no token for stop the pair, or a chat is not in its template."""
    pair = load_pair("gemma-smol")
    pieces = pair.vocabulary.pieces
    assert (len(pieces), pieces[-1]) == (258_754, None)
    assert b"\x04" not in pieces
    asked = "What is the capital of France?"
    out = generate(
        pair, [f"Question: {asked}\nAnswer:"], rules.Dual(0.4), proxy_prompts=[pair.chat(asked)], mode="speculative",
        window=3, temperature=0, max_new_tokens=12,
    )  # fmt: skip
    assert "Paris" in out.texts[0]
