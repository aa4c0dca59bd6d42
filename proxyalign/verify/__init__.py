"""Checks of the numbered statements on generated and recorded cases, with mutants that the checks must catch."""
