"""`proxyalign solve`: the knapsack of one next-token law, by the exact solver, an approximation or the oracle."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxyalign.cli.common import notes, print_json
from proxyalign.errors import InputError

if TYPE_CHECKING:
    from proxyalign.knapsack import DeferralProblem, Solution

METHODS = ("exact", "near-optimal", "primal", "dual", "oracle")


def solve(
    probs: Annotated[
        Path, typer.Option(help="A .npy file with one next-token law, (V,) numbers that sum to 1, or a .npz of verify.")
    ],
    budget: Annotated[
        float | None, typer.Option(help="Deferral mass allowed, a probability in [0, 1]; not read by dual.")
    ] = None,
    method: Annotated[str, typer.Option(help="exact, near-optimal, primal, dual or oracle.")] = "exact",
    alpha: Annotated[float | None, typer.Option(help="dual's threshold, a probability in [0, 1].")] = None,
    eps: Annotated[
        float | None, typer.Option(help="near-optimal's share of the optimum that may be lost, 0.01 by default.")
    ] = None,
    time_limit: Annotated[
        float, typer.Option(help="Seconds after which exact and oracle stop, with the bound proved so far.")
    ] = 60.0,
    certificate: Annotated[
        Path | None, typer.Option(help="A new file for the proof of optimality, which certificate.check() re-derives.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object alone.")] = False,
) -> None:
    """Which tokens to defer: maximise the deferred surprisal, sum of -p log p, within the budget of mass.

    Example: proxyalign solve --probs p.npy --budget 0.3
    """
    if method not in METHODS:
        raise InputError(f"solve: --method must be one of {', '.join(METHODS)}, got {method!r}; choose one of those")
    if method == "dual" and alpha is None:
        raise InputError("solve: --method dual needs --alpha in [0, 1], got none; add for example --alpha 0.2")
    if method != "dual" and alpha is not None:
        raise InputError(f"solve: --alpha is for --method dual alone, got {alpha} with {method}; drop it")
    if alpha is not None and not 0.0 <= alpha <= 1.0:
        raise InputError(f"solve: --alpha must be in [0, 1], got {alpha}; pass exp(-lambda)")
    if method != "near-optimal" and eps is not None:
        raise InputError(f"solve: --eps is for --method near-optimal alone, got {eps} with {method}; drop it")
    if eps is not None and not 0.0 < eps < 1.0:
        raise InputError(f"solve: --eps must be above 0 and below 1, got {eps}; pass for example 0.01")
    if budget is not None and not 0.0 <= budget <= 1.0:
        raise InputError(f"solve: --budget must be in [0, 1], got {budget}; pass the probability mass to defer")
    if not time_limit > 0.0:
        raise InputError(f"solve: --time-limit must be above 0 seconds, got {time_limit}; pass for example 60")
    if certificate is not None and method != "exact":
        raise InputError(f"solve: --certificate is for --method exact alone, got it with {method}; drop it")
    if certificate is not None and (certificate.exists() or not certificate.parent.is_dir()):
        raise InputError(
            f"solve: --certificate must be a new file in an existing folder, got {str(certificate)!r}; name another"
        )
    instance = _read(probs)
    if budget is None and "budget" not in instance and method != "dual":
        raise InputError(f"solve: --method {method} needs --budget in [0, 1], got none; add for example --budget 0.3")
    mass = float(instance.get("budget", 1.0)) if budget is None else budget

    from proxyalign.files import replacing
    from proxyalign.knapsack import DeferralProblem, certify

    if "p" in instance:
        problem = DeferralProblem.from_probs(instance["p"], budget=mass)
    else:
        problem = DeferralProblem(instance["values"], instance["weights"], mass)
    # A problem of five tokens, whose prefix is not optimal, loads and compiles what the solver needs.
    _run(DeferralProblem.from_probs([0.3, 0.25, 0.2, 0.15, 0.1], budget=0.56), method, alpha, eps, time_limit)
    start = time.perf_counter()
    solution = _run(problem, method, alpha, eps, time_limit)
    seconds = time.perf_counter() - start
    if certificate is not None:
        with replacing(certificate) as file:
            file.write(certify(problem, solution).to_json().encode() + b"\n")
    if method == "oracle":
        notes.print(f"{solution.method}: the solver's claim; the bound and is_optimal are our own", markup=False)
    if method == "dual" and budget is not None and solution.mass > problem.budget:
        notes.print(
            f"dual: its set spends {solution.mass:.6g} of probability mass, more than the budget of {budget:g}, which "
            "it does not read; try a lower --alpha, or --method primal",
            markup=False,
        )
    if json:
        print_json(
            {
                "method": method,
                "value": solution.value,
                "mass": solution.mass,
                "upper_bound": solution.upper_bound,
                "is_optimal": solution.is_optimal,
                "n_deferred": solution.n_deferred,
                "seconds": seconds,
            }
        )
        return
    print(_in_words(solution, len(problem), method, seconds))


def _run(
    problem: "DeferralProblem", method: str, alpha: float | None, eps: float | None, time_limit: float
) -> "Solution":
    """Solve by the method of this name."""
    from proxyalign import knapsack

    if method == "dual":
        return knapsack.dual(problem, alpha=alpha)
    if method == "primal":
        return knapsack.primal(problem)
    if method == "near-optimal":
        return knapsack.near_optimal(problem) if eps is None else knapsack.near_optimal(problem, eps)
    solver = knapsack.exact if method == "exact" else knapsack.oracle
    return solver(problem, time_limit=time_limit)


def _in_words(solution: "Solution", n_tokens: int, method: str, seconds: float) -> str:
    """The answer for a reader: what is deferred, what is proved, and how long it took."""
    at = "at the mass that it spends" if method == "dual" else "within the budget"
    proof = (
        f"optimal {at}: proved"
        if solution.is_optimal
        else f"not proved optimal: the optimum is at most {solution.upper_bound:.12g} nats"
    )
    return (
        f"{solution.method}: defer {solution.n_deferred} of {n_tokens} tokens, worth {solution.value:.12g} nats, "
        f"of probability mass {solution.mass:.12g}\n{proof}\nsolved in {seconds:.3g} s; add --json for programs"
    )


def _read(path: Path) -> dict[str, Any]:
    """`p` of a .npy file; of a .npz file `p`, or `values` and `weights`, and `budget` where it has one.

    Never unpickles. Raises InputError for anything else.
    """
    from proxyalign.files import read_arrays

    remedy = "write one with numpy.save('p.npy', p)"
    if not path.is_file():
        raise InputError(f"solve: --probs must be an existing .npy file, got {str(path)!r}, which is none; {remedy}")
    try:
        instance = read_arrays(path, ("p", "values", "weights", "budget"))
    except ValueError as damage:
        raise InputError(
            f"solve: --probs must be a .npy file of numbers, got {str(path)!r}, which is not or is cut off; {remedy}"
        ) from damage
    if "p" not in instance and not {"values", "weights"} <= instance.keys():
        raise InputError(f"solve: --probs must hold p, or values and weights, got the archive {str(path)!r}; {remedy}")
    return instance
