"""Answers in LaTeX: how they are spelled plainly, what they are made of, and whether two of them are equal."""
