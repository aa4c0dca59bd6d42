"""What tasks whose answer is one number share: the form they ask for, where a reply ends, and how one is scored."""

import re

from proxyalign.tasks.base import Question, Score
from proxyalign.tasks.numbers import final_number, last_numbers, parse_number, states_final_number

INSTRUCTION = "Solve the problem step by step. End with a line that has #### and then the answer as a number alone.\n\n"
NEXT_QUESTION = "Question:"  # what a base model writes once it has answered
# The same in other words, at the beginning of a line; a reply may begin with them where it repeats the question.
_NEXT = re.compile(r"(?<=\S)\s*\n[ \t]*(?:#+ *|\*\*)?(?:Question|Problem|Q|Human|User|Instruction)\b *\d{0,4} *:")


def own_reply(text: str) -> str:
    """`text` up to where it goes on to a next question, which is no part of the reply."""
    return _NEXT.split(text.split(NEXT_QUESTION, 1)[0], maxsplit=1)[0]


def score_number(question: Question, text: str) -> Score:
    """Right where the number that the reply gives as its answer equals the reference by value (29.00 is 29).

    `numbers.final_number` says which number that is, of the reply up to a next question. Strict asks for a `####`
    line with nothing but that number on top. Measures: "flexible", right, or the reference is another number of the
    last sentence that has one (the 5 of "So 5 boxes (7 each)."); "authors", right where signs are dropped, as the
    paper's own code does, which reads -10 as 10.
    """
    reply = own_reply(text)
    found, reference = final_number(reply), parse_number(str(question.reference))
    correct = found is not None and found == reference
    flexible = correct or (reference is not None and reference in last_numbers(reply))
    unsigned = found is not None and reference is not None and abs(found) == abs(reference)
    return Score(
        correct,
        None if found is None else f"{found:f}",
        strict=correct and states_final_number(reply),
        measures={"flexible": (float(flexible), 1.0), "authors": (float(unsigned), 1.0)},
    )
