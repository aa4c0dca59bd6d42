"""A claim: two numbers, the relation that a statement puts between them, and by how much it holds."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Number = Fraction | float
Relation = Literal["<=", "<", "=="]


@dataclass(frozen=True, slots=True)
class Claim:
    """One comparison that a statement makes on one case.

    name: which one, the same for every case. left, right: rationals where the statement is one about the float64
    numbers as they are, floats where it is about laws that torch computes. tolerance: what rounding may take, 0 for
    rationals.
    """

    name: str
    left: Number
    right: Number
    relation: Relation = "<="
    tolerance: float = 0.0

    @property
    def margin(self) -> Number:
        """right - left for an inequality, -|right - left| for an equality: below 0 (less tolerance) is a violation."""
        difference: Number = self.right - self.left
        if self.relation == "==" and difference > 0:
            difference = -difference
        return difference

    @property
    def holds(self) -> bool:
        """Whether the comparison is true; NaN is not."""
        return self.holds_by(self.margin)

    def holds_by(self, margin: Number) -> bool:
        """The same, from a margin that is known already."""
        # A rational is compared with a whole number where it can be, which takes a fifth of the time.
        return bool(margin > 0 if self.relation == "<" else margin >= (-self.tolerance if self.tolerance else 0))

    @property
    def ratio(self) -> float:
        """left / right, which is 1 where an inequality is attained; 0 where there is nothing to compare."""
        right = float(self.right)
        return float(self.left) / right if right > 0.0 and math.isfinite(right) else 0.0
