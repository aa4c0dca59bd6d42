"""One script for each step of the analysis, run by Snakemake as a module."""
