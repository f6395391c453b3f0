"""Benchmarks: each states the budget it serves and measures peers in the same run; only ratios are worth keeping."""
