"""The fingerprint changes with what the package computes, and with nothing else."""

from analysis.fingerprint import behaviour, fingerprint

CODE = '"""What it is for."""\n\ndef f(x):\n    """Say it."""\n    return x + 1\n'


def test_comments_layout_and_docstrings_do_not_count():
    """Fails where rewording a docstring would throw a night of results away."""
    assert behaviour(CODE) == behaviour('"""Other words."""\ndef f(x):  # a reason\n\n    return (x + 1)\n')


def test_a_changed_number_counts():
    """Fails where results of older code could pass for new ones."""
    assert behaviour(CODE) != behaviour(CODE.replace("1", "2"))


def test_modules_and_weights_count_and_the_command_line_does_not(tmp_path):
    """Fails where new weights, or a new rule, keep old results alive."""
    (tmp_path / "cli").mkdir()
    (tmp_path / "rules.py").write_text(CODE)
    before = fingerprint(tmp_path)
    (tmp_path / "cli" / "bench.py").write_text(CODE)
    assert fingerprint(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with_weights = fingerprint(tmp_path)
    (tmp_path / "rules.py").write_text(CODE.replace("1", "2"))
    assert len({before, with_weights, fingerprint(tmp_path)}) == 3
