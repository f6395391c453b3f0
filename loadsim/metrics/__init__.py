"""Metrics of a load run: histograms that merge exactly, what shards report each second, and thresholds on the sum."""
