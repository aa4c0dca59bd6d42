"""Other routes to the optimum, to hold ours against: cvxpy, the solvers behind it, and what they say."""
