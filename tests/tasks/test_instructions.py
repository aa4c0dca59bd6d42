"""Each kind of IFEval's instructions: replies that follow it, replies that do not, and the odd ones between."""

import pytest

from proxyalign.tasks.instructions import KINDS, Instruction, follows, follows_loosely

AT_LEAST, LESS = "at least", "less than"
NO_WORDS = {"num_words": 5, "relation": LESS}
LIST = "* one\n* two\n- three"
# kind, arguments, replies that follow it, replies that do not
CASES = [
    ("keywords:existence", {"keywords": ["intern", "Grow"]}, ["An internship GROWS.", "grow, intern"], ["intern", " "]),
    ("keywords:existence", {"keywords": ["c++"]}, ["In C++."], ["In C."]),
    (
        "keywords:frequency",
        {"keyword": "war", "frequency": 3, "relation": AT_LEAST},
        ["War, wars and WARS.", "war's war-war", "warwar war_x war war war"],
        ["toward software reward", "war war warm", "war"],
    ),
    (
        "keywords:frequency",
        {"keyword": "the", "frequency": 2, "relation": LESS},
        ["The other theory is there.", "None."],
        ["the the"],
    ),
    ("keywords:frequency", {"keyword": " box ", "frequency": 1, "relation": AT_LEAST}, ["boxes"], ["boxer"]),
    (
        "keywords:forbidden_words",
        {"forbidden_words": ["rename", "field"]},
        ["renamed in fields"],
        ["Rename it.", "a (FIELD)"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "q", "let_frequency": 2, "let_relation": AT_LEAST},
        ["Quick q", "QQ"],
        ["quick"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 2, "let_relation": AT_LEAST},
        ["#a #b"],
        ["#a and hash", "every letter abcdefghijklmnopqrstuvwxyz twice abcdefghijklmnopqrstuvwxyz"],
    ),
    ("keywords:letter_frequency", {"letter": "O", "let_frequency": 2, "let_relation": LESS}, ["one"], ["oO"]),
    (
        "length_constraints:number_words",
        {"num_words": 4, "relation": AT_LEAST},
        ["I don't know", "a b\nc d", "x_y a-b c"],
        ["one two three", "... --- !!!"],
    ),
    ("length_constraints:number_words", {"num_words": 2, "relation": LESS}, ["one"], ["one two"]),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, ["a***b", "***\na\n***\nb\n***"], ["a", "a\n\nb"]),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, ["a *** b\n\nc"], ["a******b", "a***b***c"]),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Elm"},
        ["a\n\nelm trees", "\n\na\n\nElm", "a\n\n\n\n'Elm', b\n\n", "a\n\n\nELM.x"],
        ["elm\n\na", "a\n\nthe elm", "a\n\nelms", "a\nelm", "a\n\nelm\n\nb", "elm", "a\n\n*elm*"],
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["[a] and [b c]", "[][]"],
        ["[a]", "[a\nb] [c]", "(a) (b)"],
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["x\nP.S. y", "p. s."], ["PS: y", "P.P.S y"]),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, ["P.P.S y", "p. p. s"], ["P.S. y", "PPS"]),
    ("detectable_content:postscript", {"postscript_marker": "N.B."}, ["then n.b. this"], ["nxbx"]),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 3},
        [LIST, "x\n  - a\n -b\n*c*"],
        ["* a\n** b\n* c", "a"],
    ),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, ["a\n---\nb", "-"], ["+ a", "1. a", LIST]),
    (
        "detectable_format:constrained_response",
        {},
        ["My answer is yes.", "I say: My answer is maybe. Ask again."],
        ["my answer is yes.", "My answer is yes", "yes"],
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*a* *b*", "**a** and **b**", "*a*b*c*d*"],
        ["*a*", "*a\nb* *c*", "** ** * *", "**a**"],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb", "SECTION1 SECTION 12 SECTION 3"],
        ["SECTION 1", "Section 1 Section 2", "SECTION I SECTION II"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": [1, null]}', '```json\n{"a": 1}\n```', "```\n[]\n```", "7", '"text"'],
        ["{'a': 1}", 'Here: {"a": 1}', '{"a": 1', '```python\n{"a": 1}\n```', "[" * 100_000],
    ),
    ("detectable_format:title", {}, ["<<a title>>\nb", "x <<< y >>>"], ["<a>", "<<>>", "<< >>", "<<a\nb>>", "## a"]),
    ("combination:two_responses", {}, ["a******b", "******\na\n******\nb******"], ["a", "a****** a", "a************b"]),
    ("combination:two_responses", {}, ["a\n\n******\n\nb"], ["a***b", "a******b******c", "a******"]),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": " Write a haiku. "},
        ["write A HAIKU. Here it is", "\n Write a haiku."],
        ["Sure! Write a haiku.", "Write a  haiku."],
    ),
    (
        "startend:end_checker",
        {"end_phrase": "Any other questions? "},
        ["x Any OTHER questions?", 'x any other questions?"\n'],
        ["Any other questions? No", "any other questions"],
    ),
    ("startend:quotation", {}, ['"a"', ' "a\nb" ', '""'], ['"a', 'a"', '"', "“a”", "'a'", "a"]),
    ("punctuation:no_comma", {}, ["none here", "全角，"], ["a, b", "1,000"]),
]
NEEDS_LANGDETECT = [
    (
        "language:response_language",
        {"language": "de"},
        ["Das ist ein ganz gewöhnlicher deutscher Satz.", "12345 678", "!!!"],
        ["This is an ordinary English sentence.", "Ceci est une phrase française."],
    ),
    (
        "language:response_language",
        {"language": "mr"},
        ["मी उद्या मुंबईला जाणार आहे आणि तिथे राहणार आहे."],
        ["I go to Mumbai."],
    ),
    ("language:response_language", {"language": "zh"}, [], ["我明天去北京看朋友。"]),  # langdetect says zh-cn
    (
        "change_case:english_capital",
        {},
        ["THIS IS AN ORDINARY ENGLISH SENTENCE 2.", "THE WEATHER IS NICE TODAY, ISN'T IT?"],
        ["This is an ordinary sentence.", "DAS IST EIN GANZ GEWÖHNLICHER DEUTSCHER SATZ.", "123"],
    ),
    (
        "change_case:english_lowercase",
        {},
        ["this is an ordinary english sentence."],
        ["this is an ordinary English sentence.", "das ist ein ganz gewöhnlicher deutscher satz."],
    ),
]
NEEDS_NLTK = [
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": AT_LEAST},
        ["One. Two. Three.", "Is it? Yes! Fine.", "Dr. Smith left. He was tired. Mrs. Smith stayed."],
        ["Dr. Smith paid $3.50 to Mr. Jones. He left.", "one\ntwo\nthree", "Wait... what? no.", "a. b. c."],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": LESS},
        ["One", "At 5 p.m. he left."],
        ["A dog. A cat."],
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 3, "capital_relation": AT_LEAST},
        ["I AM HERE", "DON'T GO", "WELL-KNOWN U.S. BBC", "A1 B2 C3"],
        ["WELL-KNOWN BBC", "Not Here At All", "1 2 3 4"],
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 1, "capital_relation": LESS},
        ["none Here"],
        ["Here I am"],
    ),
]


def check(kind, arguments, right, wrong):
    instruction = Instruction(kind, arguments)
    assert {reply: follows(instruction, reply) for reply in right} == dict.fromkeys(right, True)
    assert {reply: follows(instruction, reply) for reply in wrong} == dict.fromkeys(wrong, False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_a_reply_is_judged_by_what_the_instruction_asks(case):
    """Fails when a check takes a reply that does not do what is asked, or refuses one that does."""
    check(*case)


@pytest.mark.parametrize("case", NEEDS_LANGDETECT, ids=lambda case: case[0])
def test_a_language_is_judged_by_the_detector(case):
    """Fails when another language passes, case is not looked at, or a text without letters fails."""
    pytest.importorskip("langdetect", reason="langdetect is not installed (extra [benchmarks])")
    check(*case)


@pytest.mark.parametrize("case", NEEDS_NLTK, ids=lambda case: case[0])
def test_sentences_and_capital_words_are_counted_as_the_splitter_cuts(case):
    """Fails when an abbreviation ends a sentence, a line does, or words are cut in another way."""
    pytest.importorskip("nltk", reason="nltk is not installed (extra [benchmarks])")
    check(*case)


def test_every_kind_has_replies_here():
    """Fails when a kind is added and nothing says what it does."""
    assert {case[0] for case in CASES + NEEDS_LANGDETECT + NEEDS_NLTK} == set(KINDS)
    assert len(KINDS) == 25


@pytest.mark.parametrize("reply", ["", " ", "\n\n"])
def test_a_blank_reply_follows_nothing(reply):
    """Fails when an instruction that forbids something counts as followed by a reply that says nothing."""
    for kind, arguments in (("punctuation:no_comma", {}), ("length_constraints:number_words", NO_WORDS)):
        assert not follows(Instruction(kind, arguments), reply)
        assert not follows_loosely(Instruction(kind, arguments), reply)


@pytest.mark.parametrize(
    ("kind", "arguments", "reply"),
    [
        ("startend:quotation", {}, 'Sure!\n"a"'),
        ("startend:quotation", {}, '"a"\nHope this helps'),
        ("startend:quotation", {}, 'Sure!\n"a"\nHope this helps'),
        ("startend:quotation", {}, '*"a"*'),
        ("startend:quotation", {}, 'Sure!\n**"a"**'),
        ("startend:quotation", {}, '**"a"**\nHope this helps'),
        ("startend:quotation", {}, '# Sure\n\n*"a"*\n\n*bye*'),
    ],
)
def test_loosely_a_frame_and_asterisks_do_not_count(kind, arguments, reply):
    """Fails when one of the eight versions of a reply is not tried."""
    assert not follows(Instruction(kind, arguments), reply)
    assert follows_loosely(Instruction(kind, arguments), reply)


def test_loosely_is_no_more_than_one_line_at_either_end():
    """Fails when more is taken away, or what is asked for is looked for anywhere."""
    assert not follows_loosely(Instruction("startend:quotation", {}), 'Sure!\nHere it is:\n"a"')
    assert not follows_loosely(Instruction("startend:quotation", {}), '_"a"_')


def test_published_checks_differ_where_a_keyword_is_within_a_word_and_a_piece_is_blank():
    """Fails when the two differences are gone, or the labelled option no longer reproduces them."""
    war = Instruction("keywords:frequency", {"keyword": "war", "frequency": 2, "relation": AT_LEAST})
    assert not follows(war, "toward software")
    assert follows(war, "toward software", published=True)
    elm = {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "elm"}
    assert follows(Instruction("length_constraints:nth_paragraph_first_word", elm), "\n\nElm\n\nash")
    assert not follows(
        Instruction("length_constraints:nth_paragraph_first_word", elm), "\n\nElm\n\nash", published=True
    )
    assert [kind for kind, one in KINDS.items() if one.published] == [
        "keywords:frequency",
        "length_constraints:nth_paragraph_first_word",
    ]
