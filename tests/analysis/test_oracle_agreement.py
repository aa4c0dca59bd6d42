"""The agreement with the general solvers: what is counted, what is kept, and that the certificate decides."""

import importlib
import itertools
import json
from pathlib import Path

import pytest

from proxyalign.knapsack import OptimalityCertificate, exact
from proxyalign.knapsack.oracle.instances import CLASSES

pytest.importorskip("cvxpy")
module = importlib.import_module("analysis.experiments.oracle_agreement")
RECORDED = Path(__file__).parent.parent.parent / "analysis" / "recorded" / "oracle_agreement.json"


def test_a_hundred_and_fifty_answers_agree():
    """Fails where `exact` or `oracle` misses an optimum, or an agreement is counted that is none."""
    lines, kept = module.run(module.small_instances(7), 75, 20.0)
    assert sum(line["n"] for line in lines) == 150
    assert all(line["agree"] == line["n"] == line["exact_certified"] for line in lines)
    assert kept == []
    assert {line["family"].split()[0] for line in lines} == {"law", "tied", "free", "grid", "class"}


def test_a_wrong_answer_is_counted_and_kept_with_a_certificate_that_decides(monkeypatch):
    """Fails where a disagreement passes, or what is kept of it cannot be judged without running the search again."""
    poor = module.oracle_verdict

    def worse(problem, solver, truth, **options):
        verdict = poor(problem, solver, truth, **options)
        object.__setattr__(verdict, "judgement", "wrong")
        return verdict

    monkeypatch.setattr(module, "oracle_verdict", worse)
    monkeypatch.setattr(module, "SOLVERS", ("HIGHS",))
    lines, kept = module.run(module.small_instances(1), 1, 20.0)
    (line,) = lines
    assert (line["n"], line["first_wrong"], line["agree"], line["differ"]) == (1, 1, 1, 0)
    (entry,) = kept
    assert entry["certificate_holds"]
    certificate = OptimalityCertificate.from_json(json.dumps(entry["certificate"]))
    assert certificate.check()
    (instance,) = itertools.islice(module.small_instances(1), 1)
    assert certificate.weights.tolist() == instance.problem.weights.tolist()
    assert entry["exact_value"] == exact(instance.problem).value


def test_every_class_of_the_literature_takes_part():
    """Fails where a class is left out of the thousands."""
    families = {instance.family for instance in itertools.islice(module.small_instances(0), 5 * len(CLASSES))}
    assert {f"class {kind}" for kind in CLASSES} <= families


def test_the_recorded_run_has_two_thousand_small_instances_and_no_disagreement_that_exact_loses():
    """Fails where the kept record is of fewer, or a disagreement is in it that the certificate does not settle."""
    record = json.loads(RECORDED.read_text())
    for solver in module.SOLVERS:
        lines = [line for line in record["small"] if line["solver"] == solver]
        assert sum(line["n"] for line in lines) >= 2000
        assert sum(line["exact_certified"] for line in lines) == sum(line["n"] for line in lines)
        assert sum(line["agree"] for line in lines) >= 2000 - len(record["kept"])
    for entry in record["kept"]:
        certificate = OptimalityCertificate.from_json(json.dumps(entry["certificate"]))
        assert entry["certificate_holds"]
        assert certificate.check()
        if entry["first"]["over_budget"] == 0.0:
            assert entry["first"]["value"] <= entry["exact_upper_bound"]
