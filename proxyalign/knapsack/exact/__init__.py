"""The optimum of one step, certified: a core algorithm on scaled integers, its bounds, and near-optimal sets."""
