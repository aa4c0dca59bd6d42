"""The 25 kinds of instructions of IFEval, by the ids of its file: their arguments, their checks and what these need."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxyalign.tasks.instructions import cases, formats, frames, keywords, lengths
from proxyalign.tasks.instructions.arguments import (
    CHARACTER,
    COUNT,
    LANGUAGE,
    PLACE,
    RELATION,
    TEXT,
    TEXTS,
    Argument,
)
from proxyalign.tasks.instructions.language import is_in
from proxyalign.tasks.instructions.packages import Tool


@dataclass(frozen=True)
class Kind:
    """One kind of instruction.

    check: takes a reply and the arguments, by name, and says whether the reply follows the instruction.
    arguments: by their names in the file, which has all of them.
    needs: the tool that the check is done with, where it needs one.
    published: the check of the published code, where it differs.
    """

    check: Callable[..., bool]
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    needs: Tool | None = None
    published: Callable[..., bool] | None = None


@dataclass(frozen=True)
class Instruction:
    """One instruction of a prompt: the id of its kind, and its arguments by name, in which `fault` finds none."""

    id: str
    arguments: Mapping[str, Any]


KINDS: Mapping[str, Kind] = {
    "keywords:existence": Kind(keywords.existence, {"keywords": TEXTS}),
    "keywords:frequency": Kind(
        keywords.frequency,
        {"keyword": TEXT, "frequency": COUNT, "relation": RELATION},
        published=keywords.frequency_anywhere,
    ),
    "keywords:forbidden_words": Kind(keywords.forbidden_words, {"forbidden_words": TEXTS}),
    "keywords:letter_frequency": Kind(
        keywords.letter_frequency, {"letter": CHARACTER, "let_frequency": COUNT, "let_relation": RELATION}
    ),
    "language:response_language": Kind(is_in, {"language": LANGUAGE}, needs="detector"),
    "length_constraints:number_words": Kind(lengths.number_words, {"num_words": COUNT, "relation": RELATION}),
    "length_constraints:number_sentences": Kind(
        lengths.number_sentences, {"num_sentences": COUNT, "relation": RELATION}, needs="splitter"
    ),
    "length_constraints:number_paragraphs": Kind(lengths.number_paragraphs, {"num_paragraphs": COUNT}),
    "length_constraints:nth_paragraph_first_word": Kind(
        lengths.nth_paragraph_first_word,
        {"num_paragraphs": COUNT, "nth_paragraph": PLACE, "first_word": TEXT},
        published=lengths.nth_piece_first_word,
    ),
    "detectable_content:number_placeholders": Kind(formats.number_placeholders, {"num_placeholders": COUNT}),
    "detectable_content:postscript": Kind(formats.postscript, {"postscript_marker": TEXT}),
    "detectable_format:number_bullet_lists": Kind(formats.number_bullet_lists, {"num_bullets": COUNT}),
    "detectable_format:constrained_response": Kind(formats.constrained_response),
    "detectable_format:number_highlighted_sections": Kind(
        formats.number_highlighted_sections, {"num_highlights": COUNT}
    ),
    "detectable_format:multiple_sections": Kind(
        formats.multiple_sections, {"section_spliter": TEXT, "num_sections": COUNT}
    ),
    "detectable_format:json_format": Kind(formats.json_format),
    "detectable_format:title": Kind(formats.title),
    "combination:two_responses": Kind(frames.two_responses),
    "combination:repeat_prompt": Kind(frames.repeat_prompt, {"prompt_to_repeat": TEXT}),
    "startend:end_checker": Kind(frames.end_checker, {"end_phrase": TEXT}),
    "startend:quotation": Kind(frames.quotation),
    "change_case:capital_word_frequency": Kind(
        cases.capital_word_frequency, {"capital_frequency": COUNT, "capital_relation": RELATION}, needs="splitter"
    ),
    "change_case:english_capital": Kind(cases.english_capital, needs="detector"),
    "change_case:english_lowercase": Kind(cases.english_lowercase, needs="detector"),
    "punctuation:no_comma": Kind(frames.no_comma),
}


def fault(instruction: str, arguments: Mapping[str, Any]) -> tuple[str, object] | None:
    """What a file must do for an instruction, and what it holds instead; None where nothing is wrong with it."""
    if instruction not in KINDS:
        return f"name instructions of the {len(KINDS)} kinds of IFEval", instruction
    known = KINDS[instruction].arguments
    for name, argument in known.items():
        must = f"give {instruction} its argument {name}, {argument.what}"
        if name not in arguments:
            return f"{must}, in its kwargs", arguments
        if not argument.accepts(arguments[name]):
            return must, arguments[name]
    for name in arguments:
        if name not in known:
            return f"give {instruction} {'only ' + ', '.join(known) if known else 'no argument'}", name
    if "nth_paragraph" in arguments and arguments["nth_paragraph"] > arguments["num_paragraphs"]:
        return f"ask for a paragraph of the {arguments['num_paragraphs']}", arguments["nth_paragraph"]
    return None
