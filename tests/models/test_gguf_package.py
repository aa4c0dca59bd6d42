"""A GGUF file out of packages: its parts joined in order, and a missing or damaged one told in a sentence."""

import pytest
from tiny_gguf import install

from proxyalign.errors import InputError
from proxyalign.models.gguf_package import GGUFPackage, check_reader

PARTS = (b"GGUF and so on", b"the second part", b"the last")
NAMES = tuple(f"tiny-model-part{number}" for number in range(len(PARTS)))
PACKAGE = GGUFPackage(model="tiny", packages=NAMES, install="pip install tiny-model")


def install_parts(folder, parts, *, has_sums=True):
    for number, (name, content) in enumerate(zip(NAMES, parts, strict=True)):
        install(folder, name, {f"tiny-q4.gguf.part{number:02}": content}, has_sums=has_sums)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_parts_are_joined_in_order(folder):
    """Fails when the file has another name, or its parts another order."""
    install_parts(folder, PARTS)
    PACKAGE.write(folder / "joined")
    assert (folder / "joined").read_bytes() == b"".join(PARTS)
    assert PACKAGE.file_name == "tiny-q4.gguf"


def test_the_digest_is_another_one_for_another_file(folder):
    """Fails when a part does not count, or not its place."""
    digests = set()
    for parts in (PARTS, (b"GGUF and so oN", *PARTS[1:]), (*PARTS[:2], b"the Last"), PARTS[::-1]):
        install_parts(folder, parts, has_sums=False)
        digests.add(PACKAGE.digest())
    assert len(digests) == 4
    install_parts(folder, PARTS)
    assert PACKAGE.digest() in digests


def test_a_missing_package_is_told_with_how_to_get_it(folder, monkeypatch):
    """Fails when an absent package raises something else, or counts as installed."""
    assert not PACKAGE.is_installed()
    with pytest.raises(InputError, match=f"model tiny needs the package {NAMES[0]}, got none; run pip install tiny"):
        PACKAGE.digest()
    install_parts(folder, PARTS)
    monkeypatch.setattr("proxyalign.models.gguf_package.READERS", ())
    assert PACKAGE.is_installed()
    monkeypatch.setattr("proxyalign.models.gguf_package.READERS", ("a_reader_that_is_not_there",))
    assert not PACKAGE.is_installed()
    with pytest.raises(InputError, match=r"owner: a_reader_that_is_not_there must be installed to read f.gguf, got"):
        check_reader("owner", "f.gguf")


DAMAGES = {
    "gone": (lambda file: file.unlink(), "got 0 such files"),
    "altered": (lambda file: file.write_bytes(b"THE second part"), "got another SHA-256 for .*part01"),
    "cut off": (lambda file: file.write_bytes(PARTS[1][:5]), "got another SHA-256 for .*part01"),
}


@pytest.mark.parametrize(("damage", "got"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_part_is_told_with_how_to_mend_it(folder, damage, got):
    """Fails when a part is taken that is not the one its package was published with."""
    install_parts(folder, PARTS)
    damage(folder / "tiny_model_part1/data/tiny-q4.gguf.part01")
    with pytest.raises(
        InputError, match=rf"the package {NAMES[1]} must .*{got}.*; run .*--force-reinstall .*{NAMES[1]}"
    ):
        PACKAGE.digest()
