"""The phrases in which replies name a letter: as the answer, as one of several, or as no answer."""

import re

# A letter in brackets or quotes, or one that is no part of a word, a number, a formula or a name such as B.C. or D-day.
MENTION = (
    r"(?:[(\[{<\"']{1,2}\s*(?P<enclosed>[A-Za-z1-9])\s*[)\]}>\"']{1,2}"
    r"|[(\[{\"']?(?<![^\W_])(?P<bare>[A-Za-z1-9])(?P<mark>[).:]?)(?![\w'+#&°%/^=|\\]|[-–]\w|[.:]\d|\.[A-Z]\b))"
)

_KIND = r"(?:answer|option|choice|letter|number|statement|alternative)"
_GOOD = r"(?:correct|right|best|final|proper|appropriate|likely|suitable|remaining|my|your)"
_BE = r"(?:is|was|must be|has to be|would be|should be|seems|appears|looks)(?: to be)?"
_IS = rf"{_BE}(?: \w+ly| also)?"
_MENTION = re.sub(r"\?P<\w+>", "?:", MENTION)  # the same within another pattern
_FILL = (  # words between "the answer is" and the letter
    r"(?:[\s:,=>(\"'-]*\b(?:most|very|likely|probably|possibly|definitely|certainly|clearly|simply|indeed|thus|therefore"
    rf"|then|also|actually|still|now|just|the|to|be|either|both|correct|right|{_KIND})\b){{0,6}}[\s:,=>-]*"
)

# "answer: C", "the best choice is C": the words for the answer, what leads to the letter, and where to look no further
NOUN = re.compile(
    r"(?<!wrong )(?<!false )(?<!incorrect )(?<!another )(?<!other )\b(?:answers?|ans)\b\.?"
    r"(?! (?:explanations?|rationale|analysis|choices|options)\b)"
    rf"|\b{_GOOD}\s+(?:{_KIND}|one|selection|pick|guess|match|response|solution|conclusion)\b"
    r"|\bthe (?:option|choice|letter)\b|\bthe (?:best|correct|right|most likely)(?= (?:is|would|must)\b)"
    rf"|(?:^[ \t]*|(?<=\AAnswer: ))(?:{_KIND}|correct|final|solution|response|conclusion|selection)(?=[ \t]*[:=])",
    re.IGNORECASE | re.MULTILINE,
)
COLON = re.compile(r"\s*[:=]")
LINK = re.compile(r"\b(?:is|are|was|be|as)\b|'s\b|[:=→>]|[-–—](?!\w)", re.IGNORECASE)
NO_FURTHER = re.compile(r"[.!?;\n]|\b(?:not|never|neither|nor|cannot|wrong|incorrect)\b|n't\b", re.IGNORECASE)
FILLED = re.compile(rf"(?i:{_FILL}){MENTION}")
IN_WORDS = re.compile(
    rf"\s*(?:(?i:{_BE}(?: (?:most )?(?:likely|probably|definitely|certainly|clearly|simply|actually))?)\b)?"
    r"(?:\s|[:=]|-+(?=\s))*(?P<words>[^\n]*)"
)
WORDS_END = re.compile(r"[.,;:!?]+(?=\s|$)|\s+(?=\(|[-–—]\s|(?i:because|since|as)\b)|$")

# "so C.", "I choose C", "C is the answer", "C is correct"
CONCLUDED = re.compile(
    r"(?i:\b(?:so|thus|therefore|hence|(?<!thing )but|choose|chose|pick|select|say|guess|think|believe|leaves|leaving"
    r"|probably|likely|definitely|certainly|clearly|maybe|perhaps|meant?|(?:go|going|stick) (?:with|for)"
    r"|(?:yes|no|wait|actually|sorry|sure|okay|elimination)(?=[,!])|correction(?=:)"
    r"|(?:it|that|this)(?:'s| is| must be| has to be| would be| should be))\b|[⇒→]|[-=]>)!?"
    rf"{FILLED.pattern}(?=\s*(?:[.,;:!?)—–-]|\n|$|(?:because|since|as)\b))"
)
CORRECTED = re.compile(
    rf"\b(?i:so|thus|therefore|hence|wait|no|actually|sorry|correction)\b[,:]?\s+{FILLED.pattern}"
    rf"(?=\s*(?i:{_IS} (?:correct|right)\b))"
)
NAMED = re.compile(
    rf"{MENTION}(?P<own>(?:(?!\s{_MENTION})[^.;!?\n]){{0,80}}?)"
    rf"\s+(?i:{_IS} (?:the|my) (?:\w+ )?(?:answer|choice|option|one)\b)"
)
_CALLED_CORRECT = rf"\s*(?i:{_IS} (?:(?:the|most) )?(?:correct|right|best|suitable|appropriate)\b)"
UPHELD = (
    re.compile(f"{MENTION}{_CALLED_CORRECT}"),
    re.compile(
        rf"^(?:Answer:)?[ \t]*{MENTION}[^\n]{{0,80}}?\s*[-–—:(]\s*(?i:correct|right)\b[).!]*[ \t]*$", re.MULTILINE
    ),
)

# "(C)", "option C", and a line of its own
SET_APART = (
    re.compile(rf"(?<![\w)])(?=[(\[]){MENTION}"),
    re.compile(rf"\b(?i:{_KIND}) {MENTION}"),
    re.compile(rf"^[ \t]*{MENTION}(?:[ \t]*$|(?<=[).:])[ \t])", re.MULTILINE),
)

# "not C", "I would not choose C", "C is wrong"
_NEGATED = (  # of who replies: "fish do not breathe air (C)" denies no C
    r"\b(?:unable to|refuse to|doubt|(?:I|we) (?:\w+ )?"
    r"(?:cannot|(?:do|did|would|will|can|could|should) not|(?:do|did|would|wo|ca|could|should)n't))\b"
)
_TURNS = (  # what ends the reach of a "not"
    r"\b(?:but|so|because|since|as|if|while|whereas|though|although|which|means?|meaning|thus|therefore|hence|then"
    rf"|leav(?:es?|ing)|and(?! (?:{_KIND} )?(?:\(?(?-i:[A-HJ-Z])\b|$)))\b"
)
NOT_THOUGHT = re.compile(
    rf"{_NEGATED}(?: (?:think|believe|say|agree))?(?: that)?(?: (?:the|my)(?: \w+)?)?\s*$", re.IGNORECASE
)
DENIED_BEFORE = re.compile(
    r"\b(?:not|n't be|nor|neither|than|instead of|if|whether|unlike|except|or|eliminates?|excludes?|rejects?"
    rf"|rules? out)(?: (?:the )?{_KIND})?\s*$"
    rf"|{_NEGATED}(?:(?!{_TURNS})[^.,;:!?\n→⇒>—–])*$",
    re.IGNORECASE,
)
_DENIED = (
    r"\s(?:(?:is|are|was|would be|can be)(?: \w+ly)? (?:not|wrong|incorrect|false|out|eliminated|excluded|ruled out)"
    r"|(?:is|was|does|ca|could)n't|cannot|does not)\b"
)
DENIED_AFTER = re.compile(
    rf"(?:(?!\b(?:but|and|or|so|because|since|as|while|whereas|which)\b)[^.,;:!?(\n]){{0,60}}?{_DENIED}", re.IGNORECASE
)
_ALONE = r"(?! (?:answer|choice|option|one)\b)"
JUDGED = re.compile(f"{_DENIED}|{_CALLED_CORRECT}{_ALONE}", re.IGNORECASE)  # denied, or upheld as others may be

# "C or D", "C, D", but "C, D is wrong"
AND = re.compile(
    rf"\s*(?P<by>,?\s*\(?\b(?:and|or)\b(?: possibly| maybe| perhaps)?|[,/&|])\s*(?:(?i:{_KIND}) )?{MENTION}"
)
AND_BEFORE = re.compile(rf"{_MENTION}\s*(?:\band\b|&|/)\s*$")
VERB = re.compile(r"\s+(?:is(?! (?:the|my) (?:\w+ )?(?:answer|choice|option)\b)|was|does|has|would|can)\b")

# What follows a letter, and never the article "a" or the pronoun "I"
ENDS = re.compile(r"\s*(?:$|\n|[^\w\s=+*/<>^|&×÷≤≥≈-]|-\s)|\s+(?:and|or)\b")
GOES_ON = re.compile(
    r"\s+(?:because|since|as|is|was|are|for|due to|but|which|the|in|on|at|by|from|if|that|with|would|should|instead"
    r"|rather than|given that|based on|not (?-i:[A-Z(]))\b",
    re.IGNORECASE,
)
GOES_ON_AFTER_I = re.compile(r"\s+(?:because|since|is)\b", re.IGNORECASE)
