"""lm-evaluation-harness asks a served cascade through its own client, and finds what the pair itself says."""

from types import SimpleNamespace

import pytest

pytest.importorskip("lm_eval", reason="lm-eval is not installed (extra [lm-eval])")
pytest.importorskip("uvicorn", reason="starlette and uvicorn are not installed (extra [serve])")
pytest.importorskip("tenacity", reason="tenacity is not installed (lm-eval[api])")
pytest.importorskip("aiohttp", reason="aiohttp is not installed (lm-eval[api])")

from served_here import MODEL, engine_of, service_of, url_of

from proxyalign.models.lab import WEIGHTS
from proxyalign.tasks import get as get_task


def requests(*arguments):
    return [SimpleNamespace(args=one, arguments=one) for one in arguments]


@pytest.fixture(scope="module")
def ours(lab):
    from proxyalign.evaluation.harness import ProxyAlignLM

    return ProxyAlignLM(pair=lab, rule="dual", alpha=0.4, batch_size=3, max_gen_toks=24)


@pytest.fixture(scope="module")
def theirs(lab):
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    with engine_of(lab, batch_size=4) as engine, url_of(service_of(engine)) as url:
        yield LocalCompletionsAPI(
            model=MODEL,
            base_url=f"{url}/completions",
            tokenizer=str(WEIGHTS / "base"),
            tokenizer_backend="huggingface",
            batch_size=3,
            max_gen_toks=24,
            max_length=512,
            add_bos_token=True,
        )


@pytest.fixture(scope="module")
def questions():
    return get_task("lab-facts").questions(split="test", limit=5)


def test_likelihoods_over_the_network_are_the_harnesss_own(ours, theirs, questions):
    """Fails when a token's place is off by one, a prompt is read with other tokens, or log pi is another law's."""
    asked = requests(
        *((question.prompt, f"Answer: in fact, {word}.") for question in questions for word in ("meadows", "reeds"))
    )
    wanted = ours.loglikelihood(asked, disable_tqdm=True)
    found = theirs.loglikelihood(asked, disable_tqdm=True)
    assert [one for one, _ in found] == pytest.approx([one for one, _ in wanted], abs=1e-4)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in wanted]
    assert any(greedy for _, greedy in wanted) or len({round(one, 3) for one, _ in wanted}) > 5


def test_answers_over_the_network_are_the_harnesss_own(ours, theirs, questions):
    """Fails when stop strings, the limit or the temperature that the harness sends are not honoured."""
    greedy = {"until": ["Question:", "."], "do_sample": False, "max_gen_toks": 24}
    asked = requests(*((question.prompt, dict(greedy)) for question in questions))
    wanted = ours.generate_until(asked, disable_tqdm=True)
    assert theirs.generate_until(asked, disable_tqdm=True) == wanted
    assert len(set(wanted)) > 1
