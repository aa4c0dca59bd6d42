"""A benchmark of ten questions, and a stand-in for the decoder whose replies depend on seed and prompt index alone."""

import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from proxyalign import tasks
from proxyalign.decoding.trace import Trace
from proxyalign.evaluation import Settings

N_QUESTIONS = 10


class Decoder:
    """Stands in for `proxyalign.generate`; counts its calls and can be killed before one of them."""

    def __init__(self):
        self.n_calls = 0
        self.killed_before = None
        self.asked = []
        self.stops = set()

    def __call__(self, pair, prompts, rule, *, seed, first_index, distributions, stop, proxy_prompts=None, **options):
        if self.n_calls == self.killed_before:
            raise KeyboardInterrupt
        self.n_calls += 1
        self.asked.append((first_index, len(prompts)))
        self.stops.add(stop)
        texts, traces = [], []
        for index in range(first_index, first_index + len(prompts)):
            draw = random.Random(f"{seed} {index}")
            n = draw.randint(1, 9)
            rows = np.array([[draw.random() for _ in range(4)] for _ in range(n)], dtype=np.float32)
            texts.append(draw.choice([f" so\n#### {index + 1}", f" {index + 1}", " 0", " unknown"]))
            mass = np.array([draw.random() for _ in range(n)])
            source = np.array([draw.choice(["draft", "residual", "base", "proxy"]) for _ in range(n)])
            drafts = {"n_cycles": n, "n_tested": 3 * n, "n_accepted": 2 * n}
            if distributions:
                kept = np.array([at for at in range(n) if distributions(index, at)], dtype=np.int64)
                drafts |= {"distributions": rows[kept], "law_positions": kept}
            traces.append(Trace(np.arange(n), source, mass, mass, **drafts))
        stats = SimpleNamespace(seconds=0.25, n_tokens=sum(len(trace.token_ids) for trace in traces))
        return SimpleNamespace(texts=texts, traces=traces, stats=stats)


@pytest.fixture
def decoder(monkeypatch):
    stand_in = Decoder()
    monkeypatch.setattr("proxyalign.decoding.generate", stand_in)
    return stand_in


@pytest.fixture
def pair():
    """Two models in name alone: what a run reads of them besides their replies is their weights and their context."""
    torch.manual_seed(0)
    return SimpleNamespace(
        reference=None,
        base=torch.nn.Linear(3, 2),
        proxy=torch.nn.Linear(2, 2),
        encode=lambda text: list(text.encode()),
        has_two_vocabularies=False,
        is_served=False,
        context_of=lambda role: None,
    )


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data" / "gsm8k"
    folder.mkdir(parents=True)
    rows = [
        {"question": f"How far is 0 from {n + 1}?", "answer": f"One more.\n#### {n + 1}"} for n in range(N_QUESTIONS)
    ]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path / "data"


@pytest.fixture
def settings():
    task = tasks.get("gsm8k-0shot")
    return Settings(
        pair="two", task=task.name, task_version=task.version, rule="dual", parameters={"alpha": 0.4}, seed=5, rows=7
    )
