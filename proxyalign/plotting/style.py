"""One style for every figure: type, colours that any eye can tell apart, and how the runs of a rule look."""

import inspect
import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]

# Okabe and Ito's palette, which readers with any colour vision can tell apart; a control has the colour of its rule.
USUAL = {
    "dual": ("#0072B2", "o"),
    "primal": ("#D55E00", "s"),
    "near-optimal": ("#E69F00", "v"),
    "exact": ("#009E73", "D"),
    "nudging": ("#CC79A7", "^"),
}
OTHERS = (("#56B4E9", "P"), ("#000000", "X"), ("#882255", "<"), ("#999933", ">"), ("#44AA99", "p"), ("#AA4499", "h"))
CONTROL = "truncated-"  # what the names of rules begin with that cut tokens and ask no proxy
PARENTS = {"never": "base alone", "always": "proxy alone"}
SYMBOLS = {"alpha": "α", "budget": "b"}  # of leading parameters; the others go by their names
GREY = "#555555"


def use_style() -> None:
    """Set matplotlib's defaults for a figure in print: small type, open axes, no grid, fonts that stay text."""
    import matplotlib as mpl

    mpl.rcParams.update(
        {
            "axes.labelsize": 8,
            "axes.linewidth": 0.6,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 8.5,
            "figure.dpi": 150,
            "font.family": "DejaVu Sans",
            "font.size": 7.5,
            "legend.fontsize": 7,
            "legend.frameon": False,
            "lines.linewidth": 1.2,
            "pdf.fonttype": 42,
            "savefig.bbox": "tight",
            "svg.hashsalt": "proxyalign",  # so that equal figures are equal files
            "xtick.labelsize": 7,
            "xtick.major.width": 0.6,
            "ytick.labelsize": 7,
            "ytick.major.width": 0.6,
        }
    )


def subplots(*shape: int, **options: Any) -> tuple["Figure", Any]:
    """Matplotlib's `subplots` in the package's style, laid out so that nothing overlaps."""
    import matplotlib.pyplot as plt

    use_style()
    return plt.subplots(*shape, layout="constrained", **options)


class Look(NamedTuple):
    """How the runs of one rule, and of its control, are drawn. name: of the rule, with what is not at its default."""

    name: str
    symbol: str
    colour: str
    marker: str


def series(row: Row) -> tuple[str, str]:
    """What a curve is of: the rule, whose control counts with it, and its parameters but the leading one."""
    return str(row["rule"]).removeprefix(CONTROL), str(row.get("variant") or "")


def looks(rows: Iterable[Row]) -> dict[tuple[str, str], Look]:
    """The looks of all rules with a parameter among the rows, in the registry's order."""
    from proxyalign.deferral.rules import REGISTRY

    order, spare = list(REGISTRY), itertools.cycle(OTHERS)
    there = {series(row) for row in rows if row["parameter"] is not None}
    found = {}
    for rule, variant in sorted(there, key=lambda one: (order.index(one[0]), one[1])):
        parameter = next(iter(inspect.signature(REGISTRY[rule]).parameters))
        colour, marker = USUAL[rule] if rule in USUAL and not variant else next(spare)
        name = f"{rule}, {variant}" if variant else rule
        found[rule, variant] = Look(name, SYMBOLS.get(parameter, parameter), colour, marker)
    return found


def panels(rows: Iterable[Row]) -> list[str]:
    """The tasks among the rows in their order, each of which gets a panel. Raises InputError where there is none."""
    tasks = list(dict.fromkeys(str(row["task"]) for row in rows))
    if not tasks:
        raise InputError("plotting: rows must hold at least one result, got none; run the experiments first")
    return tasks


def arms(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lengths below and above each of the points y (n, 3), given as point, low and high: (2, n), none negative.

    Bootstrap quantiles of a quantity that is zero in every resample miss the point by rounding, on either side.
    """
    return np.maximum(0.0, np.stack([y[:, 0] - y[:, 1], y[:, 2] - y[:, 0]]))
