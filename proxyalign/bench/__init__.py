"""Measurements beside the alternatives, each in one run: decoding, batches, memory, rules."""
