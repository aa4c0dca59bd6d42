"""Reading with a cache equals reading whole: after any rollback, with ragged rows, and with windows of attention."""

import numpy as np
import pytest
import torch
import transformers
from tiny_models import gpt2, llama

from proxyalign.decoding.readers.contract import Both
from proxyalign.decoding.readers.growing import Reader

CPU = torch.device("cpu")
TEXTS = [[1, 2, 3, 4], [5, 6], [7, 8, 9, 1, 2, 3]]


def mistral(n_tokens, seed, *, layers, **_):
    """A Llama-like model that sees five tokens back."""
    torch.manual_seed(seed)
    config = transformers.MistralConfig(
        vocab_size=n_tokens,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=5,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=None,
    )
    return transformers.MistralForCausalLM(config).eval()


def reader_of(make, texts):
    model = make(10, 0, layers=2).double()
    reader = Reader("base", model, 10, 64)
    reader.push_texts(texts)
    return model, reader


def whole(model, text):
    return model(torch.tensor([text])).logits[0, -1]


MAKES = [llama, gpt2, mistral]


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("n_forgotten", [0, 1, 3, 4])
@torch.inference_mode()
def test_a_rollback_leaves_no_trace(make, n_forgotten):
    """Fails when none, one or all of the tokens read are not taken back exactly."""
    model, reader = reader_of(make, TEXTS[:1])
    reader.read()
    reader.push(torch.tensor([[3, 1, 4, 1]]))
    reader.read(4)
    reader.forget(Both.of(np.array([n_forgotten]), CPU))
    reader.push(torch.tensor([[9]]))
    expected = whole(model, TEXTS[0] + [3, 1, 4, 1][: 4 - n_forgotten] + [9])
    torch.testing.assert_close(reader.read()[0, -1], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", MAKES)
@torch.inference_mode()
def test_rows_may_forget_different_numbers_again_and_again(make):
    """Fails when a stale slot is attended to, a position counts it, or realigning moves a row's tokens out of order."""
    model, reader = reader_of(make, TEXTS)
    texts = [list(text) for text in TEXTS]
    reader.read()
    generator = np.random.default_rng(0)
    for _ in range(12):
        drafts = generator.integers(10, size=(3, 4))
        reader.push(torch.from_numpy(drafts))
        reader.read(4)
        forgotten = generator.integers(5, size=3)
        reader.forget(Both.of(forgotten, CPU))
        texts = [text + row[: 4 - n].tolist() for text, row, n in zip(texts, drafts, forgotten, strict=True)]
        valid = generator.integers(2, size=(3, 1)).astype(bool)
        reader.push(torch.full((3, 1), 7), Both.of(valid, CPU))
        reader.push(torch.full((3, 1), 2))
        texts = [text + [7] * int(has) + [2] for text, has in zip(texts, valid[:, 0], strict=True)]
        if max(len(text) for text in texts) > 50:
            break
        logits = reader.read()
        for row, text in zip(logits, texts, strict=True):
            torch.testing.assert_close(row[-1], whole(model, text), rtol=0, atol=1e-11)


@pytest.mark.parametrize("make", MAKES)
@torch.inference_mode()
def test_rows_may_leave(make):
    """Fails when the rows that stay keep another row's cache, mask or waiting tokens."""
    model, reader = reader_of(make, TEXTS)
    reader.read()
    reader.push(torch.tensor([[1], [2], [3]]))
    reader.keep(Both.of(np.array([0, 2]), CPU))
    for row, text in zip(reader.read(), (TEXTS[0] + [1], TEXTS[2] + [3]), strict=True):
        torch.testing.assert_close(row[-1], whole(model, text), rtol=0, atol=1e-12)
    reader.keep(Both.of(np.array([1]), CPU))
    reader.push(torch.tensor([[4]]))
    torch.testing.assert_close(reader.read()[0, -1], whole(model, TEXTS[2] + [3, 4]), rtol=0, atol=1e-12)
    assert reader._valid is None  # one row alone takes the path without masks


@pytest.mark.parametrize("make", MAKES)
@torch.inference_mode()
def test_rows_may_join_while_others_wait_for_different_numbers_of_tokens(make):
    """Fails when a token that a row lacks comes to lie between its tokens, where a window of attention counts it."""
    model, reader = reader_of(make, TEXTS)
    reader.read()
    reader.push(torch.full((3, 1), 7), Both.of(np.array([[True], [False], [True]]), CPU))
    reader.push(torch.full((3, 1), 2))
    reader.join([[3, 1, 4, 1, 5, 9]])
    read = [TEXTS[0] + [7, 2], TEXTS[1] + [2], TEXTS[2] + [7, 2], [3, 1, 4, 1, 5, 9]]
    for token in (8, 6, 4):
        for row, text in zip(reader.read(), read, strict=True):
            torch.testing.assert_close(row[-1], whole(model, text), rtol=0, atol=1e-11)
        reader.push(torch.full((4, 1), token))
        read = [[*text, token] for text in read]


@torch.inference_mode()
def test_a_cache_out_of_step_is_noticed():
    """Fails when a cache that holds something else than was read goes on unnoticed."""
    _, reader = reader_of(llama, TEXTS[:1])
    reader.read()
    reader._cache.crop(-1)
    reader.push(torch.tensor([[1]]))
    with pytest.raises(RuntimeError, match="internal: the base's cache holds 4 slots where 5 were read"):
        reader.read()
