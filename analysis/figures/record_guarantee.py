"""Record which parameters of the lab pair are promised little harm (statement 17), for the figure that marks them.

python -m analysis.figures.record_guarantee --out analysis/recorded/lab_guarantee.json

Asks what `proxyalign tune --guarantee 'harm<=0.05@0.9'` asks, of the development questions, and for each rule that the
quick profile chooses a parameter of, along that profile's values from the smallest on.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from analysis.product import ROOT, commit, versions
from proxyalign.evaluation.tuning.development import Development
from proxyalign.evaluation.tuning.space import Space
from proxyalign.evaluation.tuning.under_guarantee import guaranteed, promises
from proxyalign.files import write_json

if TYPE_CHECKING:
    from proxyalign.models import ModelPair

GUARANTEE = "harm<=0.05@0.9"
GRID = "chosen_on_dev"  # of the quick profile: the rules and values that are decoded on development questions


def promised(pair: "ModelPair", asked: Development, rule: str, values: Sequence[float]) -> dict[str, Any]:
    """The rule's last value with a promise, None where the first has none, and what each value that was tried did."""
    space = Space((rule,), alpha=tuple(values), budget=tuple(values))  # a rule takes the one or the other
    with tempfile.TemporaryDirectory() as folder:
        found = guaranteed(pair, asked, space, folder, promises([GUARANTEE]))
    harm = found.harm
    assert harm is not None  # it was asked for
    names = ("parameter", "n_harms", "n_helps", "accuracy", "p_value")
    return {
        "task": asked.task,
        "rule": rule,
        "parameter": None if found.chosen is None else found.chosen.parameter,
        "eps": harm.eps,
        "delta": harm.delta,
        "n": harm.n_questions,
        "reference_accuracy": harm.reference_accuracy,
        "values": list(values),
        "tested": [{name: one[name] for name in names} for one in harm.tested],
    }


def main() -> None:
    """Ask for the promise on each task and for each rule, and write what came of it."""
    from proxyalign import load_pair

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the record")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    profile = yaml.safe_load((ROOT / "analysis/config/quick.yaml").read_text(encoding="utf-8"))
    pair, settings = load_pair("lab"), {"guarantee": GUARANTEE, "split": "dev", "seed": profile["seed"]}
    found = [
        promised(pair, Development("lab", task, seed=profile["seed"], batch_size=64), rule, values)
        for task in profile["tasks"]
        for rule, values in profile["grids"][GRID]["rules"].items()
    ]
    record = {"script": "analysis/figures/record_guarantee.py", "settings": settings, **commit()}
    write_json(arguments.out, {**record, "versions": versions(), "promises": found})


if __name__ == "__main__":
    main()
