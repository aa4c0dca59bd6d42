"""The letter that a reply gives as its answer: the lines of public reports of wrong scores, and their kinds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyalign.tasks.letters import final_letter, states_letter

TEXTS = ("a car", "bank", "library", "mall")

REPORTED = [  # simple-evals 33, lm-evaluation-harness 2237 and our own tries
    ("Answer: (B)", "B"),
    ("**Answer:** B", "B"),
    ("Answer: **B**", "B"),
    ("\\boxed{B}", "B"),
    ("Answer: Apples are red, so B", "B"),
    ("Answer: A ... wait. Answer: C", "C"),
    ("The answer is B because a car moves.", "B"),
    ("The answer is B, I think.", "B"),
    ("Answer: Let's think", None),
    ("Based on", None),
    ("The correct answer is (B)", "B"),
    ("Muscle tissue (A)... Shoot tips (B)... answer is (A)", "A"),
]

FORMS = [
    (" B", "B"),
    ("B.", "B"),
    ("B) bank", "B"),
    ("[B]", "B"),
    ("'b'", "B"),
    ("(b)", "B"),
    ("B: bank", "B"),
    ("B bank", "B"),
    ("answer: b", "B"),
    ("the answer: (b)", "B"),
    ("ANSWER IS B", "B"),
    ("Answer - B", "B"),
    ("Answer\n\n(B)", "B"),
    ("B.bank", "B"),
    ("C\n\nBecause A is a car.", "C"),
    ("Option D.", "D"),
    ("choice (C)", "C"),
    ("Correct Option: C", "C"),
    ("Final answer: **C. library**", "C"),
    ("### Answer: B", "B"),
    ("<answer>B</answer>", "B"),
    ("`B`", "B"),
    ("$\\boxed{\\text{(B)}}$", "B"),
    ("\\(B\\)", "B"),
    ("The final answer is $D$.", "D"),
    ("\uff22", "B"),
    ("Answer\uff1a\uff08\uff22\uff09", "B"),
    ("The answer is “B”.", "B"),
    ("2", "B"),
    ("Answer: (4)", "D"),
    ("\\boxed{3}", "C"),
    ("5", None),
    ("2.5", None),
    ("2 cars", None),
    ("0", None),
    ("The answer to the question is most likely C", "C"),
    ("My final answer: D", "D"),
    ("Of A, B, C and D, the best is B.", "B"),
    ("I would go with option C, since a mall is loud.", "C"),
    ("Therefore, (C).", "C"),
    ("=> D", "D"),
    ("It must be D", "D"),
    ("(B) is the answer", "B"),
    ("B. bank is the correct answer.", "B"),
    ("A is wrong. B is right.", "B"),
    ("Sure! B", "B"),
    ("The best choice would be the letter D", "D"),
    ("\\fbox{B}", "B"),
    ("\\boxed B", "B"),
    ("$\\boxed{\\left(\\text{B}\\right)}$", "B"),
    ("【B】", "B"),
    ("Answer: Ⓑ", "B"),
    ("Answer: 𝐁", "B"),
    ("\u200bB\u200e", "B"),
    ("Response: B", "B"),
    ("So, B is the answer.", "B"),
    ("In that case, (B) is the answer, not C.", "B"),
    ("I see: as a result, B is the best choice.", "B"),
    ("The idea is correct. (C)", "C"),
    ("A) a car: wrong.\nB) bank: correct.\nC) library: wrong.", "B"),
    ("A. a car - Incorrect\nB. bank (correct)\nD. mall - Incorrect", "B"),
    ("Cars do not lend money (B)", "B"),
    ("I do not know, but I choose B", "B"),
    ("We can't say much, so B.", "B"),
    ("Answer: the bank, so it is B", "B"),
]

LAST_WINS = [
    ("B\n\nExplanation: a car is no bank, so the answer is C", "C"),
    ("Answer: A. No, wait, B.", "B"),
    ("\\boxed{A} ... \\boxed{C}", "C"),
    ("A? I think B.", "B"),
    ("You could say A, but the answer is B", "B"),
    ("The answer is C. The sun is a star, so A is wrong.", "C"),
    ("A) a car\nB) bank\nC) library\nD) mall\nThe answer is D", "D"),
    ("Answer: B, A is wrong", "B"),
    ("Answer: B and A is wrong", "B"),
    ("B, not A", "B"),
    ("Not A but B", "B"),
    ("The answer is A. Hmm. Actually, B is correct.", "B"),
    ("Answer: A. Correction: B", "B"),
    ("Answer: A. Sorry, I meant B.", "B"),
    ("Answer: A. I don't think the answer is C.", "A"),
    ("Answer: B\n\nAnswer explanation: A is too far.", "B"),
    ("Answer: B\nThe answer A is tempting but wrong.", "B"),
    ("Answer: B. The other answers (A, C, D) are incorrect.", "B"),
    ("By elimination, D.", "D"),
    ("That would be C", "C"),
    ("library - it is quiet", "C"),
    ("The answer isn't A. It's C.", "C"),
    ("Option A is wrong. Option B is wrong. Option C fits.", "C"),
    ("(A) a car is wrong, (B) bank cannot be, (D) fits", "D"),
]

NO_ANSWER = [
    "",
    "\n",
    "A truck",
    "A truck moves.",
    "The answer is a truck",
    "Answer: A truck",
    "I think it is a truck",
    "So it is a",
    "I",
    "As the",
    "A or B",
    "either A or B",
    "A and B",
    "A, B",
    "A, B, or C",
    "(A) or (B)",
    "The answer is C. It is A or B? The answer is A or B",
    "The answer is not A.",
    "The incorrect answer is A",
    "Neither A nor B is correct",
    "Anything but A.",
    "That idea is right.",
    "The formula is the answer",
    "C and D is the answer",
    "I can't help with (A).",
    "Sorry! I cannot assist with option A or option B.",
    "I refuse to answer (A) because it is harmful.",
    "I would not choose B.",
    "I don't think B is correct.",
    "I don't think it is B.",
    "I can't decide between (A) and (B).",
    "I am not sure if it is B.",
    "The answer is B or possibly C",
    "B is wrong",
    "The answer can't be (A) because (A) is wrong",
    "Let's see: (A) hot (B) cold",
    "A\nB\nC\nD",
    "A) a car\nB) bank\nC) library\nD) mall",
    "A. a car B. bank C. library D. mall",
    "Vitamin C is good",
    "He has hepatitis B.",
    "Answer: D.C.",
    "D'accord",
    "C'est bon",
    "C++",
    "A/B",
    "A-C",
    "A+B",
    "E=mc^2",
    "f(B)",
    "P(A)",
    "N/A",
    "Answer: E",
    "Answer: F. Because A is wrong",
    "None of the above",
    "Answer: X",
    "Because",
    "Don't know",
]

IN_WORDS = [
    ("bank", TEXTS, "B"),
    ("The answer is the library, since it is quiet.", TEXTS, "C"),
    ("Answer: A car.", TEXTS, "A"),
    ("Answer: A car", ("bank", "a car", "x", "y"), "B"),
    ("library or mall", TEXTS, None),
    ("Answer: O", ("A", "B", "AB", "O"), "D"),
    ("Answer: A", ("B", "A", "AB", "O"), "A"),
    ("B cells", ("T cells", "x", "B cells", "y"), "C"),
    ("The answer is B cells, so C.", ("T cells", "x", "B cells", "y"), "C"),
    ("A. 0.0057 is the correct answer.", ("0.0057", "0.0225", "0.025", "0.05"), "A"),
    ("The answer is -36m.", ("99m", "36m", "-36m", "-99m"), "C"),
    ("The answer is poorly adapted.", ("well adapted", "poorly adapted", "adapted", "not adapted"), "B"),
    ("The answer is clearly the mall, since cars park there", TEXTS, "D"),
    ("B ⊃ W", ("B ⊃ W", "W ⊃ B", "B ≡ W", "Both A and B"), "A"),
    ("Both A and B", ("B ⊃ W", "W ⊃ B", "B ≡ W", "Both A and B"), "D"),
    ("(B) No word has the letter 'C'.", ("Each word has the letter 'C'", "No word has the letter 'C'", "x", "y"), "B"),
    ("0.15 joule", ("0.015 joule.", "0.15 joule.", "0.015 joule.", "1.15 joule."), "B"),
    ("0.015 joule", ("0.015 joule.", "0.15 joule.", "0.015 joule.", "1.15 joule."), None),
    ("Answer: 2", ("1", "3", "2", "4"), "C"),
    ("Answer: 1", ("2", "3", "4", "5"), None),
    ("A* search", ("BFS", "A* search", "x", "y"), "B"),
    ("A bank", ("bank", "x", "y", "z"), "A"),
]


@pytest.mark.parametrize(("reply", "letter"), REPORTED)
def test_the_lines_of_public_reports_are_read_as_they_should_be(reply, letter):
    """Fails for a first letter of a word, an earlier answer, or a letter of the words around the answer."""
    assert final_letter(reply, "ABCD") == final_letter(reply, "ABCD", TEXTS) == letter


@pytest.mark.parametrize(("reply", "letter"), [*FORMS, *LAST_WINS])
def test_an_answer_is_found_in_the_forms_that_models_write(reply, letter):
    """Fails when a form, a mark of typesetting or a correction of the answer goes unread."""
    assert final_letter(reply, "ABCD", TEXTS) == letter


@pytest.mark.parametrize("reply", NO_ANSWER)
def test_what_names_no_letter_or_several_is_no_answer(reply):
    """Fails where an article, a pronoun, a name, a denied letter, or one of two letters is taken for the answer."""
    assert final_letter(reply, "ABCD", TEXTS) is None
    assert final_letter(reply, "ABCD") is None


@pytest.mark.parametrize(("reply", "texts", "letter"), IN_WORDS)
def test_the_words_of_one_choice_alone_are_its_letter(reply, texts, letter):
    """Fails when a choice's own text is taken for another letter, or two choices of one text for the first of them."""
    assert final_letter(reply, "ABCD", texts) == letter


def test_a_pronoun_is_no_ninth_choice():
    """Fails when "I think" answers a question with nine choices or more."""
    letters = "ABCDEFGHIJKLM"
    assert final_letter("I think so", letters) is None
    assert final_letter("I think J", letters) == "J"
    assert final_letter("Answer: I.", letters) == "I"
    assert final_letter("The answer is I because it is quiet", letters) == "I"


PIECES = (
    r"answer|Answer:|is|the|The|A|B|C|D|E|I|a|b|(A)|(C)|[E]|,|.|:|;|?|or|and|not|so|option|correct|wrong|because|1|2|5|bank"
    r"|mall|car|'b'|**|$|\boxed{B}|\boxed{|\text{D}|<answer>|</answer>|-|It's|Z"
)
WORDS = st.sampled_from(["\n", *PIECES.split("|")])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=25).map(" ".join)), st.integers(1, 13))
def test_no_letter_is_found_that_was_not_shown(reply, n_choices):
    """Fails when any text whatever gives a letter outside the list, or stops the run with an exception."""
    letters = "ABCDEFGHIJKLM"[:n_choices]
    for texts in ((), ("bank", "mall", "a car", "*", "", "(", "2", "mall", "b", "a", "i", "e", "z")[:n_choices]):
        found = final_letter(reply, letters, texts)
        assert found is None or (len(found) == 1 and found in letters)


def test_a_form_is_strict_where_the_letter_is_all_that_is_said_last():
    """Fails when an answer within a sentence counts as one in the form that was asked for."""
    for reply in (
        " B",
        "B.",
        "Answer: B",
        "Banks lend.\nAnswer: B.",
        "x\n**Answer: B**",
        "x\n**Answer:** B\n",
        "Answer: (B)",
    ):
        assert states_letter(reply, "B")
    for reply in ("", "The answer is B", "Answer: B, I think", "Answer: A", "B\n\nBanks lend.", "Answer: B\nx", "b"):
        assert not states_letter(reply, "B")
