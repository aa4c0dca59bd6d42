"""The reader of a model: by the pair's vocabularies, and by where its models are."""

from proxyalign.decoding.readers.contract import Branches
from proxyalign.decoding.readers.elsewhere import Elsewhere
from proxyalign.decoding.readers.growing import Reader
from proxyalign.decoding.readers.pieces import PieceReader
from proxyalign.models.pair import ModelPair


def reader_of(pair: ModelPair, role: str) -> Branches:
    """The model that has this role in the pair, with nothing read yet and a cache that grows."""
    reader: Branches = PieceReader.of(pair, role) if pair.has_two_vocabularies else Reader.of(pair, role)
    there = pair.device_of(role)
    return reader if there == pair.device else Elsewhere(reader, there, pair.device)
