"""Training: the same seed gives the same bytes, a killed run ends as if it had not been killed, folders are safe."""

import itertools
import json

import pytest
import torch

from proxyalign.errors import InputError
from proxyalign.models.lab.fitting import positions, rate_at
from proxyalign.models.lab.recipe import Schedule, preset
from proxyalign.models.lab.tokenizer import train_tokenizer
from proxyalign.models.lab.train import _model, _tuning_batches, train
from proxyalign.models.lab.world import make_world

FILES = [
    f"{model}/{file}" for model in ("base", "proxy") for file in ("model.safetensors", "tokenizer.json", "config.json")
]


class _Kill(Exception):
    pass


def _bytes(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny):
    """A tiny pair of seed 5, trained without a break."""
    out = tmp_path_factory.mktemp("lab") / "whole"
    train(out, 5, tiny)
    return out


def test_a_seed_fixes_the_weights_and_another_seed_changes_them(whole, tiny, tmp_path):
    """Fails when a weight depends on time, on the global generator, or not on the seed."""
    torch.manual_seed(99)
    train(tmp_path / "again", 5, tiny)
    train(tmp_path / "other", 6, tiny)
    assert _bytes(tmp_path / "again") == _bytes(whole)
    other = _bytes(tmp_path / "other")
    assert all(other[name] != _bytes(whole)[name] for name in FILES if name.endswith(".safetensors"))


def test_a_training_killed_in_every_stage_ends_with_the_same_weights(whole, tiny, tmp_path):
    """Fails when a checkpoint forgets optimizer state, the step, or a finished stage."""
    out, killed = tmp_path / "resumed", []
    while True:

        def kill(stage, done, total, loss):
            if stage not in killed and done == (total + 1) // 2:
                killed.append(stage)
                raise _Kill

        try:
            record = train(out, 5, tiny, report=kill, checkpoint_seconds=0)
        except _Kill:
            assert not (out / "base").exists()
            continue
        break
    assert killed == ["base", "proxy", "tuning"]
    assert _bytes(out) == _bytes(whole)
    assert record["losses"] == json.loads((whole / "lab.json").read_text())["losses"]


def test_a_finished_pair_is_left_alone(whole, tiny):
    """Fails when the same command run again trains again."""
    before = _bytes(whole)
    record = train(whole, 5, tiny, report=lambda *_: pytest.fail("trained again"))
    assert record["finished"]
    assert _bytes(whole) == before
    assert not (whole / "state").exists()


def test_a_folder_of_another_seed_or_recipe_is_refused_and_kept(whole, tiny):
    """Fails when a second training would overwrite the first."""
    before = _bytes(whole)
    with pytest.raises(InputError, match=r"seed 5, preset tiny.*seed 6"):
        train(whole, 6, tiny)
    with pytest.raises(InputError, match="preset smoke"):
        train(whole, 5, preset("smoke"))
    assert _bytes(whole) == before


def test_a_folder_of_anything_else_is_refused_and_kept(tiny, tmp_path):
    """Fails when files of the user's are written over or mixed with a pair's."""
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="not the folder of a lab pair"):
        train(tmp_path, 5, tiny)
    with pytest.raises(InputError, match="not the folder of a lab pair"):
        train(tmp_path / "thesis.tex", 5, tiny)
    (tmp_path / "lab.json").write_text("[")
    with pytest.raises(InputError, match="not the record of a lab pair"):
        train(tmp_path, 5, tiny)
    with pytest.raises(InputError, match="seed must be at least 0, got -1"):
        train(tmp_path / "new", -1, tiny)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab.json", "thesis.tex"]


def test_the_number_of_threads_changes_nothing_and_is_given_back(whole, tiny, tmp_path):
    """Fails when the weights depend on how many cores the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(tmp_path / "two", 5, tiny)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert _bytes(tmp_path / "two") == _bytes(whole)


def test_the_tuning_loss_is_on_the_reply_and_its_end_alone(tiny):
    """Fails when the proxy would learn to ask questions, or never to stop."""
    world = make_world(5, tiny)
    tokenizer = train_tokenizer(["Question: Where? Answer: in fact, 12."] * 9, 300, 512)
    for ids, labels in _tuning_batches(world, tiny, tokenizer):
        for row, wanted in zip(ids, labels, strict=True):
            reply = row[wanted != -100]
            assert torch.equal(reply, wanted[wanted != -100])
            assert reply[-1] == tokenizer.eos_token_id
            text = tokenizer.decode(reply, skip_special_tokens=True)
            assert text.startswith(("Answer: in fact, ", "Steps: "))
            assert text.endswith(".")


def test_a_document_in_a_row_is_read_as_if_it_stood_alone(tiny):
    """Fails when documents of one row attend to each other, or positions do not start anew."""
    model = _model(tiny.base, tiny, "any").eval()
    row = torch.tensor([[5, 6, 7, 0, 8, 9, 10, 11, 0, 12, 13]])
    assert positions(row).tolist() == [[0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2]]
    with torch.no_grad():
        packed = model(input_ids=row, position_ids=positions(row), use_cache=False).logits[0, 3:8]
        alone = model(input_ids=row[:, 3:8], use_cache=False).logits[0]
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)


def test_the_rate_rises_then_falls_to_its_floor():
    """Fails when warm-up and cosine do not meet, or the pass ends at the peak."""
    schedule = Schedule(rate=1.0, matrices="adamw", warmup=10, floor=0.05)
    rates = [rate_at(step, 100, schedule) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert 0.05 < rates[-1] < 0.06
