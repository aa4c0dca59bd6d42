"""One script for each figure, run by Snakemake as a module."""

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
    "published_beside_ours": ["proxyalign/evaluation/comparison/published.json"],
}
