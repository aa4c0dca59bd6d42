"""What the tests of the lab share: the full corpus that the shipped pair was trained on, and a recipe for seconds."""

import json
from dataclasses import replace

import pytest

from proxyalign.models.lab import WEIGHTS
from proxyalign.models.lab.documents import corpus
from proxyalign.models.lab.recipe import preset
from proxyalign.models.lab.world import make_world


@pytest.fixture(scope="session")
def shipped():
    """The record of the pair that ships."""
    return json.loads((WEIGHTS / "lab.json").read_text())


@pytest.fixture(scope="session")
def full():
    """The recipe of the pair that ships."""
    return preset("full")


@pytest.fixture(scope="session")
def world(shipped, full):
    """The world of the pair that ships."""
    return make_world(shipped["seed"], full)


@pytest.fixture(scope="session")
def documents(world, full):
    """The whole corpus that the shipped pair read."""
    return list(corpus(world, full))


@pytest.fixture(scope="session")
def tiny():
    """A recipe that trains in a second."""
    smoke = preset("smoke")
    return replace(smoke, name="tiny", documents=300, proxy_documents=150, tokenizer_documents=200)
