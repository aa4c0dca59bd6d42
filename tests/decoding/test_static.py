"""The cache of fixed shapes, which CUDA devices use, on a processor: it equals reading whole, and the growing cache."""

import numpy as np
import pytest
import torch
from test_architectures import DOUBLE, N_NEW, PROMPTS, SINGLE, tiny, tiny_pair
from tiny_models import llama

from proxyalign.decoding import generate
from proxyalign.decoding.backends.cuda import CudaBackend
from proxyalign.decoding.backends.processor import ProcessorBackend
from proxyalign.decoding.backends.reference import Backend
from proxyalign.decoding.readers import static
from proxyalign.decoding.readers.contract import Both
from proxyalign.deferral import rules

NAMES = list(DOUBLE | SINGLE)
CPU = torch.device("cpu")
WIDTHS = (1, 2, 6)


@pytest.fixture
def static_everywhere(monkeypatch):
    """Make the engine take the static cache, and tell for which models it does."""
    there = CudaBackend()
    monkeypatch.setattr(ProcessorBackend, "reader", lambda self, *given: there.reader(*given))
    taken = []
    make = static.StaticReader.__init__

    def noting(self, name, *arguments):
        taken.append(name)
        make(self, name, *arguments)

    monkeypatch.setattr(static.StaticReader, "__init__", noting)
    return taken


@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_gives_the_same_answers(name, static_everywhere):
    """Fails when a slot, a position, a mask or a window is another row's, or a row that has left is read again."""
    pair = tiny_pair(name, name)
    rule = rules.Dual(0.3)
    for mode, temperature in (("autoregressive", 0), ("speculative", 0), ("speculative", 1)):
        settings = {"mode": mode, "temperature": temperature, "max_new_tokens": N_NEW, "window": 3, "batch_size": 3}
        mine = generate(pair, PROMPTS, rule, seed=1, **settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ProcessorBackend, "reader", Backend.reader)
            theirs = generate(pair, PROMPTS, rule, seed=1, **settings)
        assert mine.token_ids == theirs.token_ids
        assert (mine.stats.n_tested, mine.stats.n_accepted) == (theirs.stats.n_tested, theirs.stats.n_accepted)
    assert sorted(static_everywhere) == ["base", "proxy"]  # which then read one batch after the other


@pytest.mark.parametrize("name", ["Llama", "GPT2", "Gemma3", "Mistral"])
@torch.inference_mode()
def test_any_sequence_of_reading_and_forgetting_equals_reading_whole(name, monkeypatch):
    """Fails when what was taken back is seen again, a bucket hides a slot, or a row that joins meets another's."""
    monkeypatch.setattr(static, "_FEWEST_SLOTS", 8)
    monkeypatch.setattr(static, "_LENGTHS", 8)
    model = tiny(name, 0)
    reader = static.StaticReader("base", model, 12, 64, 4, 64)
    reader.restart(WIDTHS)
    rng = np.random.default_rng(0)
    texts = [[1, 2, 3, 4], [5, 6], [7, 8, 9, 1, 2, 3]]
    reader.join(texts)
    reader.read()
    for turn in range(10):
        drafts = rng.integers(12, size=(len(texts), 4))
        reader.push(torch.from_numpy(drafts))
        reader.read(4)
        gone = rng.integers(5, size=len(texts))
        reader.forget(Both.of(gone, CPU))
        texts = [text + row[: 4 - n].tolist() for text, row, n in zip(texts, drafts, gone, strict=True)]
        there = rng.integers(2, size=(len(texts), 1)).astype(bool)
        reader.push(torch.full((len(texts), 1), 7), Both.of(there, CPU))
        reader.push(torch.full((len(texts), 1), 2))
        texts = [text + [7] * int(has) + [2] for text, has in zip(texts, there[:, 0], strict=True)]
        if turn in (2, 5):  # with tokens still to be read
            reader.keep(Both.of(np.array([0, 2]), CPU))
            texts = [texts[0], texts[2]]
            reader.join([[3, 1, 2], [4]][: turn // 2])
            texts += [[3, 1, 2], [4]][: turn // 2]
        logits = reader.read()
        for row, text in zip(logits, texts, strict=True):
            expected = model(torch.tensor([text])).logits[0, -1]
            torch.testing.assert_close(row[-1], expected, rtol=0, atol=1e-11)
    assert max(len(text) for text in texts) > 2 * static._FEWEST_SLOTS
    assert reader._steps  # steps of one shape were used, not eager passes alone


def test_a_model_that_counts_for_itself_keeps_the_growing_cache(static_everywhere):
    """Fails when ALiBi, which is made from a mask of two axes, is given one of four."""
    import transformers

    config = transformers.BloomConfig(vocab_size=12, hidden_size=16, n_layer=2, n_head=2, eos_token_id=None)
    assert not static.supports(transformers.BloomForCausalLM(config))
    assert static.supports(tiny("Llama", 0))


def test_a_pass_that_asks_the_device_on_its_way_is_not_captured():
    """Fails when experts, whose loops follow the router, or a rotary table that grows are put into a graph."""
    scaled = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    assert static.captures(tiny("Llama", 0))
    assert not static.captures(tiny("Qwen3Moe", 0))
    assert not static.captures(llama(12, 0, rope_parameters=scaled))
