"""Instructions about the whole of a reply: how it begins, ends, is wrapped, is cut in two, and has no commas."""


def two_responses(text: str) -> bool:
    """Whether ****** cuts the text into two different replies; only the first and the last piece may be blank."""
    pieces = text.split("******")
    if any(not piece.strip() for piece in pieces[1:-1]):
        return False
    replies = [piece.strip() for piece in pieces if piece.strip()]
    return len(replies) == 2 and replies[0] != replies[1]


def repeat_prompt(text: str, prompt_to_repeat: str) -> bool:
    """Whether the text starts with that request; case does not count."""
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def end_checker(text: str, end_phrase: str) -> bool:
    """Whether the text ends with that phrase, quotation marks after it aside; case does not count."""
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def quotation(text: str) -> bool:
    """Whether the text stands between straight double quotation marks."""
    content = text.strip()
    return len(content) > 1 and content.startswith('"') and content.endswith('"')


def no_comma(text: str) -> bool:
    """Whether there is no comma in the text; those of other scripts are none, as published."""
    return "," not in text
