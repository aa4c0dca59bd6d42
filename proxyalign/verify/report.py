"""What a verification writes: report.json, and the instances that `proxyalign solve --probs` reads."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from proxyalign import __version__
from proxyalign.files import replacing, write_json
from proxyalign.verify.cases import Case
from proxyalign.verify.claim_counts import make_case
from proxyalign.verify.run import Checked, Report
from proxyalign.verify.statements.claim import Number


def save(report: Report, folder: Path) -> dict[str, Any]:
    """Write report.json and the worst instance of each statement into `folder`, and give what report.json holds.

    An instance is a .npz file that `proxyalign solve --probs` reads, with all that its case has.
    """
    worst = {one.statement.number: folder / f"statement_{one.statement.number:02d}.npz" for one in report.checked}
    for one in report.checked:
        number = one.counts[one.worst].case if one.counts else 0
        case = make_case(one.statement, number, report.n_cases, report.seed, report.rows)
        _save_case(worst[one.statement.number], case)
    tight = [
        folder / f"tightness_{one.inequality.statement:02d}_{index}.npz" for index, one in enumerate(report.tightest)
    ]
    for path, kept in zip(tight, report.tightest, strict=True):
        _save_case(path, kept.case)
    recorded = None
    if report.rows is not None:
        n_rows, n_tokens = report.rows.shape
        recorded = {"source": str(report.source), "n_rows": n_rows, "n_tokens": n_tokens}
    answer = {
        "version": __version__,
        "seed": report.seed,
        "cases": report.n_cases,
        "rows": recorded,
        "seconds": report.seconds,
        "violations": report.n_violations,
        "survivors": report.survivors,
        "statements": [_statement(one, worst[one.statement.number]) for one in report.checked],
        "tightness": [
            {
                "statement": one.inequality.statement,
                "claim": one.inequality.claim,
                "ratio": one.ratio,
                "extreme": "least" if one.inequality.lowest else "largest",
                "how": one.how,
                "file": str(path),
            }
            for path, one in zip(tight, report.tightest, strict=True)
        ],
        "mutants": [
            {
                "name": mutant.name,
                "killed": kill is not None,
                "statement": kill.statement if kill else None,
                "claim": kill.claim.name if kill else None,
                "cases": kill.n_cases if kill else None,
            }
            for mutant, kill in report.kills
        ],
    }
    write_json(folder / "report.json", answer)
    return answer


def _save_case(path: Path, case: Case) -> None:
    with replacing(path) as file:
        np.savez(file, **case.arrays())


def _statement(one: Checked, path: Path) -> dict[str, Any]:
    """One statement's part of the report."""
    return {
        "statement": one.statement.number,
        "label": one.statement.label,
        "title": one.statement.title,
        "cases": one.n_generated,
        "recorded_cases": one.n_recorded,
        "violations": one.n_violations,
        "tightest": {"claim": one.worst, "margin": _plain(one.counts[one.worst].claim.margin)},
        "worst_instance": str(path),
        "seconds": one.seconds,
        "claims": [
            {
                "claim": name,
                "relation": count.claim.relation,
                "tolerance": count.claim.tolerance,
                "cases": count.n_cases,
                "violations": count.n_violations,
                "margin": _plain(count.claim.margin),
                "left": _plain(count.claim.left),
                "right": _plain(count.claim.right),
                "case": count.case,
            }
            for name, count in one.counts.items()
        ],
    }


def _plain(number: Number) -> float | None:
    """As JSON has it: None for what it has no number for."""
    try:
        plain = float(number)
    except OverflowError:
        return None
    return plain if math.isfinite(plain) else None
