"""A load test in a few lines: so many clients, so many operations each, and a report as plain values."""

from loadsim.tester.comparison import Comparison, run_comparison
from loadsim.tester.config import STRESS, Advice, LoadTestConfig, Phase
from loadsim.tester.tester import LoadTester

__all__ = ["STRESS", "Advice", "Comparison", "LoadTestConfig", "LoadTester", "Phase", "run_comparison"]
