"""The pages that are made: from notebooks, records, docstrings and the commands."""
