"""Letters in replies: find the choice that a reply gives as its answer, and none where it gives none or several."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from proxyalign.tasks import phrases

# How replies are typeset says nothing about the answer; a box and an answer tag do, and become the words that say it.
_TYPESETTING = (
    (re.compile(r"\\(?:text\w*|math\w+|mbox|operatorname)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\(?:text\w*|math\w+|mbox|operatorname)\s*\{([^{}]*)\}"), r"\1"),  # one within another
    (re.compile(r"\\(?:left|right)\b"), ""),
    (re.compile(r"\\f?box(?:ed)?\s*\{\s*([^{}]*)\}"), r"\nAnswer: \1\n"),
    (re.compile(r"\\boxed\s+([A-Za-z])(?!\w)"), r"\nAnswer: \1\n"),
    (re.compile(r"<answer>", re.IGNORECASE), "\nAnswer: "),
    (re.compile(r"</?(?:answer|Answer|ANSWER|b|br|em|i|p|span|strong|u)\s*/?>|\\[()\[\]]|[*`$]"), ""),
    (re.compile(r"(?<!\w)_+|_+(?!\w)|^[ \t]*(?:#+|>)[ \t]*", re.MULTILINE), ""),
)
# Fullwidth forms, quotes and brackets as they are typed; what is not seen is not there.
_SIGNS: dict[int, int | None] = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SIGNS |= str.maketrans("“”„‘’【】", '"""\'\'[]', "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
_STYLED = re.compile("[\u2460-\u24ff\U0001d400-\U0001d7ff\U0001f110-\U0001f149]")  # circled letters, bold ones


def final_letter(text: str, letters: str, texts: Sequence[str] = ()) -> str | None:
    """The one of `letters` that the reply `text` gives as its answer, or None where it gives none or cannot decide.

    letters: those shown, "ABCD". texts: what stood beside them, in their order, where it is known: an answer in the
    words of one choice alone is that choice, and "A bank" is then no A.

    A reply follows a prompt that ends on "Answer:", so what it begins with is its answer. The last statement of an
    answer counts ("Answer: C", "the answer is C", \\boxed{C}, "so C.", "C is the right choice"); else the one letter
    that is called correct; else the one that stands apart ("(C)", "option C", a line of its own) and is not denied.
    The article "A", the pronoun "I", "A or B", and letters that were not shown are no answer. Digits stand for
    letters, 1 for A, where no choice has a digit in its text.
    """
    return _Reply(f"Answer: {_plain(text)}", letters, tuple(_words(_plain(one)) for one in texts)).answer()


def states_letter(text: str, letter: str) -> bool:
    """Whether the reply is `letter` alone, or ends on the line "Answer: " and `letter`; a period may follow."""
    lines = text.strip().splitlines() or [""]
    alone = len(lines) == 1 and lines[0].strip().removesuffix(".") == letter
    return alone or re.fullmatch(rf"\**Answer:\**\s*\**\(?{letter}\)?\.?\**", lines[-1].strip()) is not None


def _plain(text: str) -> str:
    text = _STYLED.sub(lambda sign: unicodedata.normalize("NFKC", sign[0]), text.translate(_SIGNS))
    for pattern, written in _TYPESETTING:
        text = pattern.sub(written, text)
    return text


def _words(text: str) -> str:
    """`text` as it is compared: case, blanks, a leading article and closing punctuation do not count."""
    return re.sub(r"^(?:an?|the) (?=\S)", "", " ".join(text.casefold().split()).strip(" .,;:!\"'"))


def _as_said(words: str) -> str:
    """A pattern of the text that `_words` made, as it may stand in a reply."""
    return r"(?:(?:an?|the)\s+)?" + r"\s+".join(map(re.escape, words.split())) + r"(?!\w)"


@dataclass(frozen=True)
class _Reply:
    text: str
    letters: str
    texts: tuple[str, ...]

    def answer(self) -> str | None:
        stated = sorted([*self._stated(), *self._concluded(), *self._named()])
        if stated:
            return stated[-1][1] or None
        for patterns in (phrases.UPHELD, phrases.SET_APART):
            matches = (match for pattern in patterns for match in pattern.finditer(self.text))
            mentioned = [match for match in matches if self._is_letter(match)]
            denied = {self._shown(match) for match in mentioned if self._is_denied(match)}
            if found := {self._shown(match) for match in mentioned} - denied:
                return (found.pop() or None) if len(found) == 1 else None
        return None

    def _stated(self) -> Iterator[tuple[int, str]]:
        """Place and letter of each "answer: C", "the best choice is C"; "" where it is undecided or was not shown."""
        for noun in phrases.NOUN.finditer(self.text):
            if phrases.NOT_THOUGHT.search(self._before(noun)):
                continue
            for at in self._places(noun.end()):
                match = phrases.FILLED.match(self.text, at)
                if match and self._is_letter(match) and not self._begins_list(match):
                    if not self._is_judged(match, named=at == noun.end() and not phrases.COLON.match(self.text, at)):
                        shown = "" if self._is_hedged(match) else self._shown(match)
                        yield match.end(), shown or self._in_words(noun.end()) or ""
                    break
            else:
                if letter := self._in_words(noun.end()):
                    yield noun.end(), letter

    def _places(self, start: int) -> Iterator[int]:
        """Where a letter may stand after an "answer" that ends at `start`: there, and after each "is" that follows."""
        yield start
        if not phrases.COLON.match(self.text, start):
            stop = phrases.NO_FURTHER.search(self.text, start, start + 80)
            for link in phrases.LINK.finditer(self.text, start, stop.start() if stop else start + 80):
                yield link.end()

    def _concluded(self) -> Iterator[tuple[int, str]]:
        """Place and letter of each "so C.", "I choose C", "no, C is right"; what is undecided concludes nothing."""
        for match in (*phrases.CONCLUDED.finditer(self.text), *phrases.CORRECTED.finditer(self.text)):
            said = match["enclosed"] or match["bare"].isupper()  # "it is a" is the beginning of something else
            if phrases.DENIED_BEFORE.search(self._before(match)):
                continue
            if said and self._is_letter(match) and not self._is_hedged(match) and (letter := self._shown(match)):
                yield match.end(), letter

    def _named(self) -> Iterator[tuple[int, str]]:
        """Place and letter of each "C is the answer", with the words of the choice between where it has a mark."""
        for match in phrases.NAMED.finditer(self.text):
            apart = not match["own"].strip() or match["enclosed"] or match["mark"]
            if not apart or re.search(r"\bnot\b", match["own"]) or self._is_denied(match):
                continue
            if phrases.AND_BEFORE.search(self._before(match)):
                continue
            if self._is_letter(match) and not self._is_hedged(match) and (letter := self._shown(match)):
                yield match.end(), letter

    def _in_words(self, at: int) -> str | None:
        """The letter of the one choice whose text is what is said from `at` on, up to a mark or a reason."""
        end = at + 60 + max(map(len, self.texts), default=0)  # 60 for "is", marks and an article
        match = phrases.IN_WORDS.match(self.text, at, end)
        said = match["words"] if match else ""
        for boundary in reversed(list(phrases.WORDS_END.finditer(said))):
            words = _words(said[: boundary.start()])
            if words and self.texts.count(words) == 1:
                return self.letters[self.texts.index(words)]
        return None

    def _shown(self, match: re.Match[str]) -> str:
        """The letter that `match` mentions, "" where it was not shown."""
        one: str = match["enclosed"] or match["bare"]
        place = int(one) - 1 if one.isdigit() else self.letters.find(one.upper())
        return self.letters[place] if 0 <= place < len(self.letters) else ""

    def _is_letter(self, match: re.Match[str]) -> bool:
        """Whether `match` mentions a letter, and no article, pronoun, name, number or part of a choice's text."""
        one: str = match["enclosed"] or match["bare"]
        if not one.isupper() and not self._shown(match):
            return False
        place = max(match.start("enclosed"), match.start("bare"))
        if any(begin <= place < end for begin, end in self._quoted):
            return False
        ends = bool(match["enclosed"] or match["mark"] or phrases.ENDS.match(self.text, match.end()))
        if one.isdigit():
            return ends and not any(re.search(r"\d", text) for text in self.texts)
        if ends:
            return True
        if one == "I":
            return phrases.GOES_ON_AFTER_I.match(self.text, match.end()) is not None
        if phrases.GOES_ON.match(self.text, match.end()):
            return True
        if not one.isupper():
            return False
        if self._after(match) > match.end():
            return True
        return one != "A" and bool(self._shown(match))

    def _is_hedged(self, match: re.Match[str]) -> bool:
        """Whether another letter is named in one breath: "A or B", "A, C and D"."""
        other = phrases.AND.match(self.text, match.end())
        if not other or not self._is_letter(other) or self._shown(other) == self._shown(match):
            return False
        if (other["bare"] or "A").islower() and not (match["bare"] or "A").islower():
            return False  # "B, a car"
        if phrases.VERB.match(self.text, other.end()):
            return False  # "B, A is wrong"
        return other["by"].strip() not in ",/&|" or bool(
            other["enclosed"] or phrases.ENDS.match(self.text, other.end())
        )

    def _begins_list(self, match: re.Match[str]) -> bool:
        """Whether what follows is the list of all choices once more: "A) x", and on the next line "B) y"."""
        following = self.letters.partition(self._shown(match) or "\n")[2][:2].ljust(2, "\0")
        if match["enclosed"] or match["mark"]:
            on_lines = rf"[^\n]*\n[ \t]*[(\[]?{following[0]}[).:\]]"
            in_one = rf"[^\n]*\s{following[0]}[).:]\s[^\n]*\s{following[1]}[).:]\s"
            return re.compile(f"{on_lines}|{in_one}").match(self.text, match.end()) is not None
        return re.compile(rf"[ \t]*\n[ \t]*{following[0]}[ \t]*(?:\n|$)").match(self.text, match.end()) is not None

    def _is_judged(self, match: re.Match[str], named: bool) -> bool:
        """Whether the letter is denied, or upheld as others may be; of one that is `named`, whether anything is said.

        named: nothing links the letter to the word before it, as in "the answer C is tempting".
        """
        after = self._after(match)
        return bool(phrases.JUDGED.match(self.text, after) or (named and phrases.VERB.match(self.text, after)))

    def _is_denied(self, match: re.Match[str]) -> bool:
        """Whether the letter that `match` mentions is said not to be the answer: "not C", "C is wrong"."""
        said = phrases.DENIED_BEFORE.search(self._before(match))
        return bool(said or phrases.DENIED_AFTER.match(self.text, self._after(match)))

    def _before(self, match: re.Match[str]) -> str:
        """The text ahead of `match`, as far as it may deny it."""
        return self.text[max(0, match.start() - 80) : match.start()]

    def _after(self, match: re.Match[str]) -> int:
        """Where the letter that `match` mentions ends, and the text of its choice, where that follows."""
        place = self.letters.find(self._shown(match) or "\0")
        if not 0 <= place < len(self.texts) or not self.texts[place]:
            return match.end()
        own = re.compile(rf"[\s\"'(:-]*{_as_said(self.texts[place])}", re.IGNORECASE).match(self.text, match.end())
        return own.end() if own else match.end()

    @cached_property
    def _quoted(self) -> list[tuple[int, int]]:
        """Where the texts of choices stand, in which "B cells" and "both A and B" mention no letter."""
        said = [re.compile(rf"(?<!\w){_as_said(text)}", re.IGNORECASE) for text in self.texts if len(text) > 2]
        return [match.span() for pattern in said for match in pattern.finditer(self.text)]
