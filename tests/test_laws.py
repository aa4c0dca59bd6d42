"""Laws to measure on: real ones where they are there, made-up ones that look like them where not."""

import importlib

import numpy as np

from proxyalign.laws import laws_at_hand, made_up

module = importlib.import_module("proxyalign.laws")


def test_without_a_model_of_real_size_half_are_the_labs_and_half_made_up(monkeypatch):
    """Fails when a benchmark without the extra has no row, or does not say what its rows are."""
    monkeypatch.delenv("PROXYALIGN_DATA", raising=False)
    found = laws_at_hand(3, seed=1)
    assert [law.size for law in found.laws[:2]] == [found.laws[0].size] * 2
    assert found.laws[2].size == module.N_TOKENS
    assert all(abs(law.sum() - 1.0) < 1e-9 for law in found.laws)
    assert found.names[2] == "made up 0"
    assert found.names[0].startswith("lab text ")
    assert (found.source["model"], found.source["made_up"]) == ("lab", 1)


def test_real_rows_are_taken_where_the_extra_and_the_data_are_there(monkeypatch, tmp_path):
    """Fails when GSM8K and SmolLM2 are there and the lab is measured all the same."""
    folder = tmp_path / "gsm8k"
    folder.mkdir()
    (folder / "test.jsonl").write_text('{"question": "How many?", "answer": "Two. #### 2"}\n')
    monkeypatch.setenv("PROXYALIGN_DATA", str(tmp_path))
    monkeypatch.setattr("proxyalign.models.causal.has_smol", lambda: True)
    monkeypatch.setattr(module, "_of_model", lambda name, texts, n_laws, seed: (name, len(texts), n_laws, seed))
    assert laws_at_hand(4, seed=2) == ("smol", 1, 4, 2)


def test_made_up_laws_are_the_seeds_and_range_from_flat_to_peaked():
    """Fails when every made-up law is as easy as the next."""
    laws = made_up(40, seed=0, n_tokens=1000)
    assert np.array_equal(laws, made_up(40, seed=0, n_tokens=1000))
    assert laws.max(axis=1).min() < 0.1 < 0.4 < laws.max(axis=1).max()
    assert made_up(0, seed=0).shape == (0, module.N_TOKENS)
