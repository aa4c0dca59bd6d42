"""One script for each figure, run by Snakemake as a module."""

from analysis.product import ROOT

# Figures that are drawn from recorded results alone, and from which; the others are drawn from a profile's tables.
RECORDED = {
    "value_over_budget": ["analysis/recorded/knapsack_steps.json"],
    "gap_by_entropy": ["analysis/recorded/knapsack_steps.json"],
    "window": ["analysis/recorded/decoding_speed/lab_windows.json"],
    "who_writes_what": ["analysis/recorded/lab_texts.json"],
    "solver_times": ["analysis/recorded/solver_times/rows.json", "analysis/recorded/solver_times/classes.json"],
    "price_at_equal_mass": ["analysis/recorded/lab_texts.json"],
    "peers_throughput": [
        "analysis/recorded/decoding_speed/lab.json",
        "analysis/recorded/decoding_speed/smol.json",
        "analysis/recorded/real_pair.json",
    ],
    "real_benchmarks": ["analysis/recorded/real/runs.json", "analysis/recorded/real/chance.json"],
    "published_beside_ours": ["proxyalign/evaluation/comparison/published.json"],
}
# What a figure of the lab pair's tables draws beside them, where it was recorded.
_RECORDED_TOO = {
    "accuracy_vs_parameter": "analysis/recorded/lab_guarantee.json",
    "gap_vs_speedup": "analysis/recorded/real/points.json",
}
BESIDE = {figure: [file] if (ROOT / file).is_file() else [] for figure, file in _RECORDED_TOO.items()}
