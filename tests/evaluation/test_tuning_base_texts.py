"""The threshold from the base's texts: which texts, which probabilities, and that an interruption changes nothing."""

from types import SimpleNamespace

import pytest
import torch
from tiny_models import llama, tiny_pair

from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.evaluation.records import read_records
from proxyalign.evaluation.tuning.base_texts import FOLDER, bound_distance
from proxyalign.evaluation.tuning.development import Development
from proxyalign.evaluation.tuning.guarantees import trust_region
from proxyalign.tasks import Question

N = 30
PROMPTS = [f"t{1 + i % 10} t{1 + i // 10}" for i in range(N)]


@pytest.fixture
def development(monkeypatch):
    """Prompts of two words, answers of four tokens, no files."""
    questions = [Question(str(i), text, None, "") for i, text in enumerate(PROMPTS)]
    task = SimpleNamespace(
        name="words", kind="reply", version=1, splits=("dev", "test"), max_new_tokens=4, stop=(),
        questions=lambda split, data, limit: questions[:limit],
    )  # fmt: skip
    monkeypatch.setattr("proxyalign.tasks.get", lambda name: task)
    return Development("tiny", "words", batch_size=8)


@pytest.fixture(scope="module")
def pair():
    return tiny_pair(llama, 11)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
def test_the_threshold_is_of_the_probabilities_that_the_rule_reads_in_texts_as_they_will_be_drawn(
    development, pair, tmp_path, temperature
):
    """Fails where tempered probabilities are taken, or texts of another temperature: then the rule would defer more of
    them than k; it must defer in just those below the k-th, decoded with the same random numbers."""
    import proxyalign as pa

    region = bound_distance(pair, development, tmp_path, eps=0.3, temperature=temperature)
    assert (region.n_texts, region.k, region.needed) == (N, 9, None)
    texts = pa.generate(pair, PROMPTS, rules.Never(), temperature=temperature, max_new_tokens=4).token_ids
    least = []
    for prompt, text in zip(PROMPTS, texts, strict=True):
        ids = pair.encode(prompt)
        with torch.inference_mode():
            laws = pair.base(torch.tensor([ids + text])).logits[0].softmax(-1)[len(ids) - 1 : -1]
        least.append(float(laws[range(len(text)), text].min()))
    assert region.alpha == pytest.approx(sorted(least)[8], rel=1e-6)
    assert region.least == pytest.approx((min(least), max(least)), rel=1e-6)
    assert region.bound == 9 / 31
    assert sum(one < region.alpha * (1 - 1e-6) for one in least) <= 8


def test_the_proxy_is_never_asked(development, pair, tmp_path, monkeypatch):
    """Fails where a threshold that holds for any proxy costs a pass of this one."""
    monkeypatch.setattr(pair.proxy, "forward", None)
    assert bound_distance(pair, development, tmp_path, eps=0.2).alpha > 0


def test_an_interrupted_calibration_goes_on_with_the_same_texts(development, pair, tmp_path, monkeypatch):
    """Fails where a text is drawn twice, lost, or drawn from other random numbers after the interruption."""
    from proxyalign import decoding

    whole = bound_distance(pair, development, tmp_path / "whole", eps=0.3)
    generate, first = decoding.generate, []

    def killed(*arguments, first_index, **options):
        first.append(first_index)
        if first == [0, 8]:
            raise KeyboardInterrupt
        return generate(*arguments, first_index=first_index, **options)

    monkeypatch.setattr("proxyalign.decoding.generate", killed)
    with pytest.raises(KeyboardInterrupt):
        bound_distance(pair, development, tmp_path / "cut", eps=0.3)
    assert bound_distance(pair, development, tmp_path / "cut", eps=0.3) == whole
    assert first == [0, 8, 8, 16, 24]
    rows = read_records(tmp_path / "cut" / FOLDER / "records.jsonl")
    assert trust_region([row["least"] for row in rows], 0.3) == whole.alpha


def test_too_few_texts_are_told_before_any_is_drawn(development, pair, tmp_path, monkeypatch):
    """Fails where a threshold of 0 is sold as one, or the number of texts that it takes is left out."""
    monkeypatch.setattr("proxyalign.decoding.generate", None)
    region = bound_distance(pair, development, tmp_path, eps=0.03)
    assert (region.alpha, region.k, region.needed) == (0.0, 0, 33)
    assert not any(tmp_path.iterdir())


def test_a_folder_of_other_models_is_refused(development, pair, tmp_path):
    """Fails where texts of one base calibrate another."""
    bound_distance(pair, development, tmp_path, eps=0.3)
    with pytest.raises(InputError, match="made with other settings"):
        bound_distance(tiny_pair(llama, 11, seed=5), development, tmp_path, eps=0.3)
