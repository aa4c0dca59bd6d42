"""Instructions about marks within a reply: lists, highlights, sections, titles, JSON, placeholders, a postscript."""

import json
import re

_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_POSTSCRIPTS = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}


def number_bullet_lists(text: str, num_bullets: int) -> bool:
    """Whether exactly that many lines start with - or with a single *; a line --- is one of them, as published."""
    stars = re.findall(r"^\s*\*[^*].*$", text, re.MULTILINE)
    dashes = re.findall(r"^\s*-.*$", text, re.MULTILINE)
    return len(stars) + len(dashes) == num_bullets


def number_highlighted_sections(text: str, num_highlights: int) -> bool:
    """Whether at least that many pieces stand between * or ** within a line; **one** counts once, as published."""
    single = [piece for piece in re.findall(r"\*[^\n*]*\*", text) if piece.strip("*").strip()]
    double = [piece for piece in re.findall(r"\*\*[^\n*]*\*\*", text) if piece[2:-2].strip()]
    return len(single) + len(double) >= num_highlights


def multiple_sections(text: str, section_spliter: str, num_sections: int) -> bool:
    """Whether at least that many sections start with the word and a number, as in "SECTION 2"; case counts."""
    return len(re.findall(rf"\s?{re.escape(section_spliter.strip())}\s?\d+\s?", text)) >= num_sections


def title(text: str) -> bool:
    """Whether something that is not blank stands between << and >> in one line."""
    return any(found.lstrip("<").rstrip(">").strip() for found in re.findall(r"<<[^\n]+>>", text))


def json_format(text: str) -> bool:
    """Whether the text is JSON, once the fences of a code block are away; a number or a text alone is, too."""
    content = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        content = content.removeprefix(fence)
    try:
        json.loads(content.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def constrained_response(text: str) -> bool:
    """Whether one of the three answers "My answer is yes.", "... no." and "... maybe." is in the text."""
    return any(option in text for option in _OPTIONS)


def number_placeholders(text: str, num_placeholders: int) -> bool:
    """Whether at least that many [placeholders] are in the text, each within one line."""
    return len(re.findall(r"\[.*?\]", text)) >= num_placeholders


def postscript(text: str, postscript_marker: str) -> bool:
    """Whether the marker is in the text, at whatever place, as published; "P.S." and "P.P.S" may have blanks within."""
    marker = postscript_marker.strip()
    return re.search(_POSTSCRIPTS.get(marker, re.escape(marker.lower())), text.lower()) is not None
