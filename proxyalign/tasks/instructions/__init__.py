"""IFEval's instructions: their kinds, what each asks of a reply, and whether a reply follows it.

The checks are those of Zhou et al. 2023 (arXiv:2311.07911), whose code (google-research/instruction_following_eval,
Apache-2.0, here called the published one) defines what a sentence, a word or a highlight is. They are written anew, and
give its verdicts, its oddities included, but for what it draws at random and for two kinds that `KINDS` lists.
"""

from proxyalign.tasks.instructions.kinds import KINDS, Instruction, fault
from proxyalign.tasks.instructions.verdicts import follows, follows_loosely

__all__ = ["KINDS", "Instruction", "fault", "follows", "follows_loosely"]
