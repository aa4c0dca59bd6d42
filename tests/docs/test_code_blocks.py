"""Code blocks of the README and of the docs: Python runs in order, and a command line is one that the parser takes.

Models that would have to be downloaded are stood in for by tiny ones, and texts are short: `namespace`. Commands that
need more than a few seconds are read by their parser and not run: `NOT_RUN` says why.
"""

import importlib.util
import re
import shlex
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from parsed import commands, read

import proxyalign as pa

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").rglob("*.md"))]
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST_TOKENS = 8
RUN = {"rules": [], "solve": [], "generate": ["--max-new-tokens", MOST_TOKENS]}
NOT_RUN = {
    "evaluate": "asks whole splits; tests/cli/test_evaluate.py runs it",
    "compare": "needs the runs of the line before; tests/cli/test_compare.py runs it",
    "tune": "takes minutes; tests/cli/test_tune.py runs it",
    "verify": "takes minutes; tests/verify runs it",
    "bench decode": "takes minutes; tests/cli/test_bench.py runs it",
    "bench rules": "takes a minute on rows of full size",
    "bench exact": "needs the extras [oracle,bench]; tests/cli/test_bench_exact.py runs it",
    "bench served": "needs a server",
    "rows": "needs the extra [smol]; tests/test_recording_rows.py runs it",
    "lab train": "takes half an hour; tests/models/lab/test_command.py runs it",
    "plan": "times products of matrices; tests/cli/test_plan_command.py runs it",
    "report": "needs runs that kept their traces; tests/report runs it",
    "serve": "serves until it is stopped; tests/serving runs it",
}


def blocks(page, language):
    """The blocks of one language in the order of the page."""
    return [text for name, text in BLOCK.findall((ROOT / page).read_text()) if name == language]


def console(page):
    """The lines after a prompt; `...` stands for what the line before says of the same command."""
    before, found = {}, []
    for line in re.findall(r"^\$ (.*)$", "".join(blocks(page, "console")), re.MULTILINE):
        words = line.split()
        whole = line.replace(" ... ", f" {before.get(words[1], '...')} ")
        before[words[1]] = whole.partition("#")[0].split(maxsplit=2)[-1].strip()
        found.append(whole)
    return found


def cheap():
    """The lines of all pages that are run, once each."""
    lines = [line for page in NAMES for line in console(page) if line.split()[0] == "proxyalign"]
    return list(dict.fromkeys(line for line in lines if line.split()[1] in RUN))


def tiny_real_pair():
    """In place of a pair that would be downloaded: two vocabularies, a chat template, random weights."""
    from byte_models import byte_model, byte_tokenizer

    texts = ["The Moon is a moon.", "What is the Moon?"]
    tokenizers = [byte_tokenizer(texts, n_merges) for n_merges in (4, 9)]
    tokenizers[1].chat_template = "{% for one in messages %}{{ one['content'] }}\n{% endfor %}"
    base, proxy = (byte_model(tokenizer, seed) for seed, tokenizer in enumerate(tokenizers))
    return pa.ModelPair(base=base, proxy=proxy, tokenizer=tokenizers[0], proxy_tokenizer=tokenizers[1])


@pytest.fixture
def namespace(monkeypatch):
    """What the pages take for granted: the pair of a name, and objects that the reader has."""
    from tiny_models import llama, word_tokenizer

    monkeypatch.syspath_prepend(ROOT / "tests" / "serving")
    load = pa.load_pair
    monkeypatch.setattr(
        pa, "load_pair", lambda *name, **where: load(*name, **where) if name != ("gemma-smol",) else real
    )
    monkeypatch.setattr(pa, "generate", partial(pa.generate, max_new_tokens=MOST_TOKENS))
    real, tokenizer = tiny_real_pair(), word_tokenizer(12)
    laws = np.random.default_rng(0).dirichlet(np.ones(12), size=3)
    return {
        "p": laws[0], "rows": laws, "tokenizer": tokenizer, "small_tokenizer": tokenizer,
        "small_instruct": llama(12, 1), "proxy_model": llama(12, 1), "model": llama(12, 0),
        "inputs": tokenizer("t1 t2", return_tensors="pt", return_token_type_ids=False),
        "examples": "A question. An answer. ", "chat": real,
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", [name for name in NAMES if blocks(name, "python")])
def test_the_python_of_a_page_runs_from_top_to_bottom(page, namespace, tmp_path, monkeypatch):
    """Fails where a page shows a call that the package does not take."""
    monkeypatch.chdir(tmp_path)
    for number, block in enumerate(blocks(page, "python")):
        if "examples + question" in block:  # where a text is asked of a pair whose proxy chats
            namespace |= {"pair": namespace["chat"], "question": "What is the Moon?"}
        exec(compile(block, f"{page}, block {number}", "exec"), namespace)


@pytest.mark.parametrize("page", [name for name in NAMES if blocks(name, "console")])
def test_a_command_of_a_page_is_taken_as_it_stands(page):
    """Fails for an unknown command or option, a missing value, a make target or a module that is not there."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in console(page):
        match shlex.split(line, comments=True):
            case ["proxyalign", *_]:
                words, _ = read(line)
                assert not words or " ".join(words) in RUN.keys() | NOT_RUN.keys(), line
            case ["make", target]:
                assert target in targets, line
            case ["source", ".venv/bin/activate"]:
                pass
            case ["python", "-m", module, *_]:
                assert importlib.util.find_spec(module), line
            case _:
                raise AssertionError(f"{page}: a line of another kind, {line!r}")


def test_the_list_of_commands_that_are_not_run_is_honest():
    """Fails where it names a command that is gone, or one that is run."""
    known = {" ".join(words) for words, _ in commands()} | {"report"}
    assert RUN.keys() | NOT_RUN.keys() <= known
    assert not RUN.keys() & NOT_RUN.keys()


@pytest.mark.parametrize("line", cheap())
def test_a_cheap_command_of_a_page_runs(command, line, tmp_path, monkeypatch):
    """Fails where a command that the parser takes ends in a mistake."""
    monkeypatch.chdir(tmp_path)
    np.save("p.npy", np.array([0.5, 0.2, 0.2, 0.1]))
    Path("my-pair").symlink_to(ROOT / "proxyalign" / "models" / "lab" / "weights")
    words = shlex.split(line, comments=True)[1:]
    code, out, err = command(*words, *RUN[words[0]])
    assert code == 0, err
    assert out
