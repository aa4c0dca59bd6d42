"""The analysis: experiments that fill results/, figures and paper numbers that are drawn from it."""
