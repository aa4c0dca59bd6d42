"""What is kept in the cache folder is whole or is made anew, whoever was killed, and whoever asks at once."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proxyalign.errors import InputError
from proxyalign.models.kept import cache_folder, kept

PROLOGUE = "import os, signal, sys, time\nfrom pathlib import Path\nfrom proxyalign.models.kept import kept\n"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PROXYALIGN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def two_files(folder):
    (folder / "weights").write_bytes(bytes(range(256)) * 40)
    (folder / "config.json").write_text("{}")


def never(folder):
    raise AssertionError(f"{folder} was to be filled again")


def start(code, **options):
    """Another process, in which `kept` can be called."""
    return subprocess.Popen([sys.executable, "-c", PROLOGUE + code], stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"PROXYALIGN_CACHE": "/named", "XDG_CACHE_HOME": "/xdg"}, "/named"),
        ({"PROXYALIGN_CACHE": "~/named"}, "/home/me/named"),
        ({"PROXYALIGN_CACHE": "", "XDG_CACHE_HOME": "/xdg"}, "/xdg/proxyalign"),
        ({"XDG_CACHE_HOME": "not/absolute"}, "/home/me/.cache/proxyalign"),
        ({}, "/home/me/.cache/proxyalign"),
    ],
)
def test_the_cache_folder_is_where_the_user_said(monkeypatch, variables, place):
    """Fails when a variable is passed over, or a relative XDG_CACHE_HOME, which is to be ignored, is taken."""
    for name in ("PROXYALIGN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/me"} | variables).items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(place)


def test_a_folder_is_made_once(cache, capsys):
    """Fails when the second call makes it again, or the first says nothing of what it made and where."""
    place = kept("owner", "name", two_files)
    assert place == cache / "name"
    assert {path.name for path in place.iterdir()} == {"weights", "config.json", "files.json"}
    said = capsys.readouterr()
    assert said.out == ""
    assert "kept for the next time" in said.err
    assert str(place) in said.err
    assert kept("owner", "name", never) == place
    assert capsys.readouterr() == ("", "")


def flip(place):
    content = bytearray((place / "weights").read_bytes())
    content[5000] ^= 1
    (place / "weights").write_bytes(content)


DAMAGES = {
    "one bit flipped": flip,
    "cut off": lambda place: os.truncate(place / "weights", 100),
    "a file missing": lambda place: (place / "config.json").unlink(),
    "the list missing": lambda place: (place / "files.json").unlink(),
    "the list cut off": lambda place: os.truncate(place / "files.json", 20),
    "the list of another kind": lambda place: (place / "files.json").write_text(json.dumps(["weights"])),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_folder_is_made_anew(cache, capsys, damage):
    """Fails when a folder is taken whose files are not those that were made."""
    place = kept("owner", "name", two_files)
    damage(place)
    capsys.readouterr()
    kept("owner", "name", two_files)
    assert "is damaged" in capsys.readouterr().err
    kept("owner", "name", never)
    assert (place / "weights").read_bytes() == bytes(range(256)) * 40


def test_a_maker_that_is_killed_leaves_nothing_that_is_taken(cache):
    """Fails when files are written at the place itself, or what a killed maker left is never taken away."""
    killed = start(
        "def make(folder):\n"
        "    (folder / 'weights').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "kept('owner', 'name', make)"
    )
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in cache.rglob("weights")] == ["weights"]  # it had begun
    assert not (cache / "name").exists()
    kept("owner", "other", two_files)  # whose maker is told of no damage, and takes the rest away
    kept("owner", "name", two_files)
    assert {path.name for path in cache.iterdir()} == {"name", "other", ".lock"}


def test_a_maker_that_fails_leaves_nothing(cache):
    """Fails when an error of the maker leaves files, or is told as one of the cache folder."""

    def fail(folder):
        two_files(folder)
        raise ValueError("no such weights")

    with pytest.raises(ValueError, match="no such weights"):
        kept("owner", "name", fail)
    assert {path.name for path in cache.iterdir()} == {".lock"}


def test_of_two_processes_one_makes_and_the_other_waits(cache):
    """Fails without the lock, when the second makes the folder too, or takes the first one's half."""
    make = (
        "def make(folder):\n"
        "    print('making', file=sys.stderr, flush=True)\n"
        "    with open('made', 'a') as log:\n"
        "        log.write('once\\n')\n"
        "    (folder / 'weights').write_text('half')\n"
        "    while not Path('go').exists():\n"
        "        time.sleep(0.01)\n"
        "    (folder / 'weights').write_text('whole')\n"
        "print((kept('owner', 'name', make) / 'weights').read_text(), flush=True)"
    )
    first = start(make, stdout=subprocess.PIPE, cwd=cache.parent)
    while not (cache.parent / "made").exists():
        assert first.poll() is None
    second = start(make, stdout=subprocess.PIPE, cwd=cache.parent)
    said = second.stderr.readline()
    (cache.parent / "go").touch()
    assert "waiting for another process" in said
    assert [process.communicate()[0] for process in (first, second)] == ["whole\n", "whole\n"]
    assert (cache.parent / "made").read_text() == "once\n"


def test_a_folder_that_came_to_its_place_meanwhile_is_taken(cache):
    """Fails when a maker on another host, which sees no lock of this one and was faster, makes this one fail."""

    def overtaken(folder):
        two_files(folder)
        kept_elsewhere = kept("owner", "elsewhere", never)
        kept_elsewhere.rename(cache / "name")

    kept("owner", "elsewhere", two_files)
    assert kept("owner", "name", overtaken) == cache / "name"
    assert {path.name for path in cache.iterdir()} == {"name", ".lock"}


def no_room(folder):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_cache_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path, monkeypatch):
    """Fails when a full disk, or a file where the folder should be, ends in a traceback."""
    (tmp_path / "file").touch()
    for place, make, reason in ((tmp_path / "file", two_files, "File exists"), (tmp_path, no_room, "No space left")):
        monkeypatch.setenv("PROXYALIGN_CACHE", str(place))
        with pytest.raises(InputError, match=rf"^owner: the cache folder must .*{reason}.* in PROXYALIGN_CACHE$"):
            kept("owner", "name", make)
