"""All defects that the statements must catch, each an edit of the package's own source.

A statement that no mutant can fail checks nothing. A mutant that survives fails the run.
"""

from proxyalign.verify.mutants.mutation import Mutant
from proxyalign.verify.mutants.of_engine import ENGINE_MUTANTS
from proxyalign.verify.mutants.of_knapsack import APPROXIMATION_MUTANTS, BOUND_MUTANTS
from proxyalign.verify.mutants.of_laws import LAW_MUTANTS
from proxyalign.verify.mutants.of_near_optimal import NEAR_MUTANTS
from proxyalign.verify.mutants.of_rules import RULE_MUTANTS
from proxyalign.verify.mutants.of_search import SEARCH_MUTANTS
from proxyalign.verify.mutants.of_sequences import SEQUENCE_MUTANTS
from proxyalign.verify.mutants.of_vocabularies import VOCABULARY_MUTANTS

MUTANTS: tuple[Mutant, ...] = (
    APPROXIMATION_MUTANTS
    + BOUND_MUTANTS
    + RULE_MUTANTS
    + LAW_MUTANTS
    + ENGINE_MUTANTS
    + SEQUENCE_MUTANTS
    + SEARCH_MUTANTS
    + NEAR_MUTANTS
    + VOCABULARY_MUTANTS
)
