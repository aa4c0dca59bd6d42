"""One script for each figure, run by Snakemake as a module."""
