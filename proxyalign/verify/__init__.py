"""Checks of the fifteen statements on generated and recorded cases, with mutants that the checks must catch."""
