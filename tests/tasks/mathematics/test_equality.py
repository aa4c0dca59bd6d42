"""Answers in LaTeX are equal where they mean the same, and nowhere else; each line stands for a kind."""

import os
import threading

import pytest

from proxyalign.errors import InputError
from proxyalign.tasks.mathematics import verifier
from proxyalign.tasks.mathematics.equality import equal
from proxyalign.tasks.mathematics.verifier import Worker, verified

# reference | answer
EQUAL = r"""
\frac12 | 1/2
\frac{1}{2} | \dfrac{1}{2}
\frac12 | 0.5
\frac94\pi | \frac{9}{4}\pi
11\sqrt2 | 11\sqrt{2}
90^\circ | 90
15\mbox{ cm}^2 | 15
\$18.90 | 18.90
.35625 | 0.35625
11,\! 111,\! 111,\! 100 | 11111111100
11,\! 111,\! 111,\! 100 | 11,111,111,100
0.28 | 28\%
\text{Evelyn} | Evelyn
\text{(C)} | C
\text{(C)} | (C)
\text{13} | 13
[0,1) | [0, 1)
-2,1 | 1,-2
\begin{pmatrix} -1/3 \\ 2/3 \\ 5/3 \end{pmatrix} | \begin{bmatrix} -\frac13 \\ \frac23 \\ \frac53 \end{bmatrix}
\begin{pmatrix} -1/3 \\ 2/3 \\ 5/3 \end{pmatrix} | \left(\begin{array}{c} -1/3 \\ 2/3 \\[2pt] 5/3 \end{array}\right)
\begin{pmatrix} -1 & 0 \\ 0 & -1 \end{pmatrix} | \begin{bmatrix} -1 & 0\\0 & -1\end{bmatrix}
x=5 | 5
5 | x=5
5x - 7y + 11z + 4 = 0 | 5x-7y+11z+4=0
5x - 7y + 11z + 4 = 0 | 10x-14y+22z+8=0
y = 2x + 3 | 2x+3
y = 2x + 3 | y=3+2x
y = 2x + 3 | y - 2x = 3
1 \pm \sqrt{19} | 1+\sqrt{19}, 1-\sqrt{19}
1 \pm \sqrt{19} | 1-\sqrt{19} \text{ and } 1+\sqrt{19}
1 \pm \sqrt{19} | x = 1 \pm \sqrt{19}
\frac{1}{2004!} | \frac{1}{2004!}
\frac{1}{2004!} | \dfrac{2005}{2005!}
4\sqrt{2} | 4\sqrt(2)
204_5 | 204_{5}
[2,5) | [2,5)
\{1\pm\sqrt{5},-2\} | -2, 1+\sqrt5, 1-\sqrt5
x \in [-2,7] | [-2,7]
x \in [-2,7] | -2 \le x \le 7
x \in [-2,7] | -2 \leq x \leq 7
(5,\infty) | x > 5
(5,\infty) | (5, +\infty)
(0,9) \cup (9,36) | (9,36)\cup(0,9)
1\frac{4}{5} | \frac{9}{5}
1\frac{4}{5} | 1.8
137 \frac{1}{2} | 137.5
\frac{270}7\text{ degrees} | \frac{270}{7}^\circ
\frac{270}7\text{ degrees} | \frac{270}{7}
864 \mbox{ inches}^2 | 864
864 \mbox{ inches}^2 | 864 \text{ square inches}
864 \mbox{ inches}^2 | 864 square inches
5.4 \text{ cents} | 5.4
58,500 | 58500
10,\!080 | 10080
\$32,\!348 | 32{,}348
\$32,\!348 | \$32,348
\$36 | 36 dollars
6 - 5i | -5i+6
2k+2 | 2(k+1)
p - q | -q+p
(a+5)(b+2) | ab+2a+5b+10
.0000672 | 6.72 \times 10^{-5}
\frac{1}{3} | 0.333333
\sqrt{2} | 1.414214
\frac{20000}{\pi} | 6366.19772
\cot x | \frac{1}{\tan x}
\cot x | \cot(x)
\text{east} | East
3, 5, 7 | 7,5,3
3, 5, 7 | \{3,5,7\}
5 | 5 apples
5 | AB = 5
5 | 2+3=5
144 | 12^2
18+2\pi | 2(9+\pi)
\left( 3, \frac{\pi}{2} \right) | (3, \pi/2)
7 | ７
7 | ٧
2 | \sqrt{4}
\frac{\sqrt{3}}{3} | \frac{1}{\sqrt3}
x^3+3x-6 | x^3 + 3x -6.
42 | $42$
\frac{1}{2} | \\frac{1}{2}
\frac{3}{4} | \frac{3}{4}\text{ or }0.75
3 \text{ and } 4 | 4, 3
1,000,000 | 10^6
2^{100} | 1267650600228229401496703205376
\emptyset | \varnothing
-\frac{1}{2} | \frac{-1}{2}
f(x)=2x | 2x
e^2 | \mathrm{e}^{2}
\text{Monday} | monday
\frac{11+9a}{20} | \frac{9a+11}{20}
1.5x | \frac{3}{2}x
6r^2-4r-24 | 2(3r^2-2r-12)
\text{June 20} | June 20
10:30 | 10:30
(x+1)^2 | x^2+2x+1
(3,4] | 3 < x \le 4
(-\infty, 2) \cup (3, \infty) | x<2 \text{ or } x>3
\log_2 8 | 3
\infty | +\infty
-2 + 7i | 7i - 2
9\text{ cm} | 9 cm
120 | 120 \text{ ways}
6 | 6\text{th}
\{1,2\} | \{2,1\}
3\sqrt{13} | \sqrt{117}
x > 5 | 5 < x
(5,\infty) | 5 < x
[5,\infty) | x \geqslant 5
a < b | b > a
(x,y) = (3,4) | (3,4)
(3,4) | (x,y) = (3,4)
\frac{1}{2},\frac{3}{4} | 0.75, 0.5
\left\{ 1, 2 \right\} | 1,2
5 | \{5\}
5 | (5)
- 5 | -5
5 | 5.
50\% | 50\%
0.5 | 50\%
\dfrac{17}{50} | .34
\dfrac{17}{50} | 34\%
3+4i | 4i+3
\sqrt[3]{2} | 2^{1/3}
\begin{pmatrix} x & 1 \\ 2 & y \end{pmatrix} | \begin{array}{cc} x & 1 \\ 2 & y \end{array}
\frac{-1}{-2} | 1/2
\frac{3}{4} | (3)/(4)
\frac{9}{4}\pi | 9\pi/4
3\sqrt{13} | 3 \sqrt 13
3\sqrt{13} | 3 * sqrt(13)
3\sqrt{13} | 3√13
45 | 45°
45 | 45 degrees
15\mbox{ cm}^2 | 15\,\mathrm{cm}^2
15 | 15\ \mathrm{m}/\mathrm{s}
1\,234 | 1234
1, 2 | x=1 \text{ or } x=2
\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix} | \left[ \begin{matrix} 1&2\\3&4 \end{matrix} \right]
\begin{pmatrix} 1/2 \\ 0 \end{pmatrix} | \begin{pmatrix} \frac12 \\[1ex] 0 \\ \end{pmatrix}
x^2 + y^2 = 4 | x^2+y^2-4=0
\pm 5 | -5, 5
7 | \mathbf{7}
7 | \(7\)
[2,5) | 2 \le x < 5
x \le 3 | (-\infty, 3]
\tan^{-1}(2) | \arctan 2
6\frac{1}{2} | 6 1/2
12 | \text{12 cm}
12 | \approx 12
12 | ≈ 12
12 | £12
12 | 12€
7 | \color{red}{7}
7 | {\color{red} 7}
7 | \textcolor{red}{7}
7 | \underline{7}
7 | 7\\
-1 | ﹣1
-1 | ‑1
0.\overline{3} | \frac{1}{3}
\frac{1}{6} | 0.1\overline{6}
-\frac{14}{11} | -1.\overline{27}
\frac{1}{3} | .\bar3
\emptyset | \{\}
(2,\infty) | \{x \mid x > 2\}
[2,5) | \{x \in \mathbb{R} : 2 \le x < 5\}
\sqrt{1/n} | \frac{1}{\sqrt{n}}
\sqrt{\frac{a}{b}} | \frac{\sqrt{a}}{\sqrt{b}}
\{1,2,3,4\} | \{1,3\} \cup \{2,4\}
5.4 \text{ cents} | 5.4¢
"""

DIFFERENT = r"""
11,\! 111,\! 111,\! 100 | 11111111101
32349 | 32, 349
28 | 28\%
\text{Evelyn} | Evely
\text{(C)} | B
[0,1) | [0,1]
(-2,1) | (1,-2)
-2,1 | 1
\begin{pmatrix} -1/3 \\ 2/3 \\ 5/3 \end{pmatrix} | \begin{bmatrix} -\frac13 \\ \frac23 \\ \frac43 \end{bmatrix}
\begin{pmatrix} -1 & 0 \\ 0 & -1 \end{pmatrix} | \begin{pmatrix} -1 & 0 & 0 & -1 \end{pmatrix}
x=5 | y=5
5x - 7y + 11z + 4 = 0 | 0
0 | 5x - 7y + 11z + 4 = 0
5x - 7y + 11z + 4 = 0 | 5x-7y+11z+5=0
y = 2x + 3 | y = 2x - 3
1 \pm \sqrt{19} | 1
1 \pm \sqrt{19} | 1+\sqrt{19}
\pm 2021 | 2021
2021 | \pm 2021
\frac{1}{2004!} | \frac{1}{2006!}
4\sqrt(2) | 4
4\sqrt{2} | 4
204_5 | 204
204 | 204_5
204_5 | 204_6
x \in [-2,7] | -2 < x \leq 7
(5,\infty) | [5, \infty)
(0,9) \cup (9,36) | (0,36)
137 \frac{1}{2} | \frac{137}{2}
6 - 5i | 6+5i
2k+2 | 2k
p - q | q - p
.0000672 | 0.0000671
\frac{1}{3} | 0.33
\sqrt{2} | 1.41421
\text{even} | odd
3, 5, 7 | 3,5
(3,5,7) | (7,5,3)
5r^5 | 5r^4
5 | 5t
\left( 3, \frac{\pi}{2} \right) | (3,90^\circ)
7 | 八
12345678901234567890 | 12345678901234567891
2^{100} | 1267650600228229401496703205377
0 | 0.0000001
x=1,y=2 | (1,2)
2e | 2
\tan x | \tan y
\text{June 20} | June 21
x > 5 | x \ge 5
5 | x < 5
2 | 2 sin x
5 | 5 million
5 | 5\text{ million}
6:00\text{ AM} | 6:00\text{ PM}
(3,4) | x=3, y=4
-5 | 5
5 | 5,000
50 | 50\%
\text{no solution} | no solutions
\begin{pmatrix} 1 \\ 2 \end{pmatrix} | \begin{pmatrix} 1 & 2 \end{pmatrix}
\begin{pmatrix} 1 \\ 2 \end{pmatrix} | \begin{vmatrix} 1 \\ 2 \end{vmatrix}
\frac{1}{0} | 5
\frac{1}{0} | \frac{2}{0}
15\mbox{ cm}^2 | 16 cm^2
12, 345 | 12345
\text{42} | 43
(0,1] | [0,1)
x^2 + y^2 = 4 | 4
\frac{1}{10^{50}} | \frac{1}{10^{51}}
10^{-20} | 0
10^{20} | 10^{20}+1
101_2 | 5
7 | seven
7 | 7\text{ or }8
\ln 2 | \log 2
f(x) = x+1 | y = x+1
x \le 3 | x<3
0.\overline{3} | 0.3
0.\overline{3} | 0.\overline{4}
0.\overline{12} | 0.1\overline{2}
[2,5) | \{x \mid 2 \le x \le 5\}
6 | \text{6 million}
x | |x|
x | \sqrt{x^2}
\sqrt{x} | \sqrt{x+10^{-9}}
x\sqrt{y} | \sqrt{x^2y}
xy | |xy|
\{1,2\} | \{1\} \cup \{3\}
\{1,2\} | \{\}
"""


def pairs(table):
    return [tuple(side.strip() for side in line.split(" | ")) for line in table.strip().splitlines()]


@pytest.mark.parametrize(("reference", "answer"), pairs(EQUAL))
def test_answers_that_mean_the_same_are_equal(reference, answer):
    """Fails when a spelling, a unit, an order or a form makes a right answer wrong."""
    assert equal(reference, answer)


@pytest.mark.parametrize(("reference", "answer"), pairs(DIFFERENT))
def test_answers_that_do_not_mean_the_same_are_different(reference, answer):
    """Fails when what parts two answers (a bracket, an order, a sign, a base, a factorial) is dropped or rounded."""
    assert not equal(reference, answer)


def test_a_percent_sign_is_a_hundredth_unless_it_is_asked_for():
    """Fails when 28 percent is 28 in every question, or in none."""
    assert not equal("28", r"28\%")
    assert equal("28", r"28\%", percent_is_unit=True)
    assert equal(r"28\%", "28", percent_is_unit=True)
    assert equal("0.28", r"28\%")
    assert not equal("0.28", r"28\%", percent_is_unit=True)
    assert not equal("29", r"28\%", percent_is_unit=True)


ODD = [
    *[
        "",
        " ",
        "{",
        "}",
        "\\",
        "\\frac",
        "\\frac{1}",
        "\\frac{1}{0}",
        "\\sqrt",
        "\\begin{pmatrix}",
        "((((",
        "$",
        "\\boxed{",
    ],
    *["=", "x=", "=5", ",", ",,", "_", "^", "\\pm", "\\cup", "(,)", "\\{\\}", "%", "\\%", "八", "５６", "٣", "𝟙", "½"],
    *["5" * 599, "9" * 10_000, "(" * 500, "\\frac" * 9, "x^^x", "\x00", "\ue000", "a\nb", "\ud83d"],
]


@pytest.mark.parametrize("answer", ODD, ids=lambda odd: ascii(odd[:20]))
def test_whatever_an_answer_is_made_of_it_is_no_error(answer):
    """Fails when an unfinished, empty, huge or foreign answer raises, or is equal to a number."""
    assert not equal("7", answer)
    assert not equal(answer, "7")
    assert equal("7", "７")
    assert equal("7", "٧")


def test_formulas_are_compared_in_any_thread():
    """Fails for a time limit that needs the main thread, and where two threads read each other's verdicts."""
    told = {}

    def ask(k):
        told[k] = [verified(f"\\sqrt{{{k}}}+{n}", f"{n}+\\sqrt{{{k + n % 2}}}") for n in range(4)]

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(50, 54)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == {k: [True, False, True, False] for k in range(50, 54)}


def test_a_comparison_that_takes_too_long_is_ended_and_the_next_one_answered():
    """Fails when one hopeless power, or a process that somebody kills, holds up or loses the answers after it."""
    worker = Worker(seconds=0.3)
    try:
        assert not worker.ask("9^{9^{9^{9}}}", "9^{9^{9^{9}}}+1")
        assert worker.ask("\\sqrt{8}", "2\\sqrt{2}")
        worker._process.kill()
        assert worker.ask("\\sqrt{8}", "2\\sqrt{2}")
    finally:
        worker.close()


def test_without_math_verify_one_sentence_says_how_to_get_it(monkeypatch):
    """Fails when a missing package ends in another error, or makes every formula wrong without a word."""
    monkeypatch.setattr(verifier, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^math500: math-verify must be installed .*benchmarks"):
        verifier.check_installed("math500")


def test_a_forked_child_has_a_process_of_its_own():
    """Fails when parent and child read each other's verdicts, or the child waits for a lock that nobody gives back."""
    assert verified("\\sqrt{45}", "3\\sqrt{5}")
    child = os.fork()
    if child == 0:
        os._exit(0 if verified("\\sqrt{20}", "2\\sqrt{5}") else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert verified("\\sqrt{125}", "5\\sqrt{5}")
