"""Mutants of the exact solver's search, beside those in `mutants.py`.

One is written as `Mutant("search: what is broken", (2,), "knapsack.search:advance", "room >= 0", "room >= -1")`: a name, the
numbers of the statements that may catch it, "module:function" or "module:Class.method", and an edit of that function's
source, in which the first text has to occur once.
"""

from proxyalign.verify.mutation import Mutant

SEARCH_MUTANTS: tuple[Mutant, ...] = ()
