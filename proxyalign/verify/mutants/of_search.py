"""Mutants of the exact solver's search: its bounds, its screens and its bookkeeping, beside those of other files.

One is written as `Mutant("search: what is broken", (2,), "knapsack.exact.states:advance", "room >= 0", "room >= -1")`:
a name, the numbers of the statements that may catch it, "module:function" or "module:Class.method", and an edit of that
function's source, in which the first text has to occur once.
"""

from proxyalign.verify.mutants.mutation import Mutant


def _search(name: str, target: str, old: str, new: str, kind: str = "") -> Mutant:
    return Mutant(f"states: {name}", (2,), f"knapsack.exact.{target}", old, new, kind)


SEARCH_MUTANTS: tuple[Mutant, ...] = (
    _search(
        "a weightless change has the steepest slope",
        "core:_slopes",
        "STEEPEST), 0)",
        "STEEPEST), STEEPEST)",
        "two scales",
    ),
    _search("slopes of 64 bits are rounded up", "core:_slopes", "(1.0 - ROUNDING)", "(1.0 + 2.0**-20)"),
    _search(
        "slopes of unbounded integers are rounded up", "core:_slopes", "// max(1, weight)", "// max(1, weight) + 1"
    ),
    _search(
        "removals add up their losses, not their slopes",
        "core:build_core",
        "gains, sloped)",
        "gains, losses)",
        "last bits",
    ),
    _search(
        "the linear bound one unit too high within the budget",
        "states:linear_bound",
        "slope_out[k])), -1",
        "slope_out[k]) + 1), -1",
        "last bits",
    ),
    _search(
        "the linear bound one unit too high over the budget",
        "states:linear_bound",
        "core.least_in[k]), last",
        "core.least_in[k]) + 1, last",
    ),
    _search(
        "the lightest addition is paid for as if there were no room",
        "states:linear_bound",
        "core.lightest_out[k] - room",
        "core.lightest_out[k]",
    ),
    _search(
        "the group bound one unit too high", "states:group_bound", "int(max(0.0, level)))", "int(max(0.0, level))) + 1"
    ),
    _search(
        "the group bound of the neighbouring cell",
        "states:group_bound",
        "level = levels[cell] +",
        "level = levels[cell + 1] +",
    ),
    _search(
        "group bounds are not closed under sums",
        "group_relaxation:group_levels",
        "shortest_sums(np.floor(steps[:-1] * UNIT))",
        "np.floor(steps[:-1] * UNIT)",
    ),
    _search(
        "states are merged the other way round",
        "states:advance",
        "old.rooms[j] + move > old.rooms[i]",
        "old.rooms[j] + move < old.rooms[i]",
    ),
    _search(
        "a state is dominated by a cheaper one without more room",
        "states:advance",
        "if cost >= cheapest",
        "if cost >= cheapest - 1 - abs(gain)",
    ),
    _search(
        "a state is dropped one unit too soon",
        "states:advance",
        "loss + more < limit + offset and",
        "loss + more < limit + offset - 1 and",
        "fibonacci",
    ),
    _search(
        "second prices left are counted twice",
        "states:advance",
        "other < limit + most_second",
        "other < limit + most_second + core.seconds_left[k + 1] - 1",
    ),
    _search("a fixing test one unit too strict", "states:screen", "< limit", "< limit - 1"),
    _search(
        "a set over the budget by a rounding counts",
        "solver:_Search._adopt",
        "if excess > 0:\n            attempt",
        "if False:\n            attempt",
        "products",
    ),
    _search(
        "what only fits as rounded is forgotten",
        "solver:_Search.deepen",
        "if attempt.doubtful_cost < best:",
        "if False:",
        "two scales",
    ),
    _search(
        "a stale ceiling: what a tired search was to look for counts as proved",
        "solver:_Search.deepen",
        "width, ceiling = max(1, width // WIDER), limit",
        "width, ceiling, proved = max(1, width // WIDER), limit, limit",
    ),
    _search(
        "proved up to the limit though something was found below",
        "solver:_Search.deepen",
        "proved = min(limit, best)",
        "proved = limit",
    ),
    _search("dust is not counted", "core:integers", "near.room + exact_sum(problem.weights[near.dust])", "near.room"),
    _search(
        "weights that leave are rounded down",
        "core:integers",
        "np.maximum(np.ceil(scaled_weights), 1.0)",
        "np.floor(scaled_weights)",
        "two scales",
    ),
    _search(
        "weights that enter are rounded up",
        "core:integers",
        "np.floor(scaled_weights))",
        "np.ceil(scaled_weights) + 1.0)",
    ),
    _search(
        "values that leave are rounded up",
        "core:integers",
        "np.where(leaves, np.floor(scaled_values)",
        "np.where(leaves, np.ceil(scaled_values) + 1.0",
    ),
    _search(
        "values that enter are rounded down",
        "core:integers",
        "np.maximum(np.ceil(scaled_values), 1.0)",
        "np.floor(scaled_values)",
    ),
    _search("one unit of room is missing", "core:integers", "math.floor(room * scale)", "math.floor(room * scale) - 1"),
    _search(
        "negative losses are left out of the allowance",
        "core:_relaxation",
        "math.ceil(price * room) + allowance",
        "math.ceil(price * room)",
    ),
    _search(
        "candidates within half the gap alone",
        "core:candidates",
        "near = reduced < round_up(",
        "near = reduced < 0.5 * round_up(",
    ),
    _search(
        "the root's bound without the room left",
        "solver:exact",
        "near.room * near.price + near.allowance",
        "near.allowance",
    ),
    _search("items of two weights count as of one", "core:Candidates.of_one_weight", "== 0.0", "<= 0.5"),
    _search("one item fewer fits than does", "cardinality_bound:spare_items", "return n_items", "return n_items - 1"),
    _search(
        "second prices rounded up", "cardinality_bound:with_most_items", "- 1 + sign * charge", "+ 2 + sign * charge"
    ),
    _search(
        "the charge of the spare items is left out", "cardinality_bound:with_most_items", "+ 1 + charge * spare", "+ 1"
    ),
)
