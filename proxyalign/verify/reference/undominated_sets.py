"""The best set within a budget in whole numbers, of two halves of the items (Horowitz and Sahni, JACM 1974).

It shares nothing with the solvers that it is there to judge, and rounds nothing.
"""

Sets = list[tuple[int, int]]  # (mass, -value), both strictly in order: a heavier set is worth more


def undominated(values: list[int], weights: list[int]) -> Sets:
    """The subsets of some items that no lighter or equally light one is worth as much as, as mass and value."""
    sets: Sets = [(0, 0)]
    for value, weight in zip(values, weights, strict=True):
        merged = sorted([*sets, *[(mass + weight, paid - value) for mass, paid in sets]])
        sets = merged[:1]
        for candidate in merged:  # of one mass the most valuable comes first
            if candidate[1] < sets[-1][1]:
                sets.append(candidate)
    return sets


def best_pair(one: Sets, other: Sets, room: int) -> tuple[int, int]:
    """The value and the mass of the best set of mass at most `room` >= 0 that a set of each list makes.

    Of several of that value, the lightest one.
    """
    best, place = (0, 0), len(other) - 1
    for mass, paid in one:
        while place >= 0 and mass + other[place][0] > room:
            place -= 1
        if place < 0:
            break
        best = min(best, (paid + other[place][1], mass + other[place][0]))
    return -best[0], best[1]
