"""The lab pair: a generator of worlds and texts, the training of both models, and the weights that ship."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"  # base/, proxy/ and lab.json of the pair that ships
