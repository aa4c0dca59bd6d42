"""A half of a character that is drawn here has the law that it had on the server, and is as likely as it was there."""

from types import SimpleNamespace

import numpy as np
import pytest

from proxyalign.errors import InputError
from proxyalign.serving.dialects import Dialect
from proxyalign.serving.halves import draw_half

STRINGS = [b"a", b"\xc3", b"b", b"\xe2\x80", b"\xa9", None, b"c", b"\xf0\x9f"]
HALVES = [1, 3, 7]


class Server:
    """Answers a request for one token after a law of its own, as llama.cpp does."""

    base = SimpleNamespace(root="http://here")

    def __init__(self, law, *, shows_odds=True):
        self.logits, self.shows_odds = np.log(law), shows_odds

    def complete(self, body):
        biased = self.logits.copy()
        for i, amount in body["logit_bias"]:
            biased[i] += amount
        token = int(biased.argmax())
        assert token not in HALVES  # which it would keep back
        after = np.exp(biased - biased.max()) / np.exp(biased - biased.max()).sum()
        if not body.get("post_sampling_probs"):
            logs = [self.logits[token], self.logits.max()]
            best = [{"id": i, "logprob": log} for i, log in zip((token, int(self.logits.argmax())), logs, strict=True)]
            return [{"logprobs": {"content": [{"id": token, "logprob": logs[0], "top_logprobs": best[1:]}]}}]
        order = np.argsort(-after)[: body["logprobs"]]
        odds = [{"id": int(i), "prob": float(np.float32(after[i]))} for i in order]
        return [{"logprobs": {"content": [{"id": token, "top_probs": odds} if self.shows_odds else {"id": token}]}}]


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 2.0])
def test_a_half_has_its_law_given_that_it_is_one(temperature):
    """Fails when halves are weighed at another temperature, or p is that given a half, or of a lifted law."""
    law = np.random.default_rng(int(10 * temperature)).dirichlet(np.full(len(STRINGS), 0.3))
    server, dialect = Server(law), Dialect("llamacpp", "m", takes_ids=True)
    n, seen = 2000, {}
    for k in range(n):
        one = draw_half(server, dialect, [0], STRINGS, temperature, 0, (k + 0.5) / n)
        seen[one.token] = seen.get(one.token, 0) + 1
        assert one.string == STRINGS[one.token]
        np.testing.assert_allclose([one.p_y[0], one.p_max[0]], [law[one.token], law.max()], rtol=1e-4)
    weights = law[HALVES] ** (1 / temperature) if temperature else (law[HALVES] == law[HALVES].max()).astype(float)
    shares = [seen.get(i, 0) / n for i in HALVES]
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=1.5 / n)


def test_a_server_without_odds_is_told():
    """Fails when a whole token, or none, is written in place of the half that was drawn."""
    law = np.full(len(STRINGS), 1 / len(STRINGS))
    with pytest.raises(InputError, match="must show the odds of a step that ends in half a character"):
        draw_half(Server(law, shows_odds=False), Dialect("llamacpp", "m", takes_ids=True), [0], STRINGS, 1.0, 0, 0.5)
