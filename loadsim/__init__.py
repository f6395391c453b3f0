"""Load and simulation: a venue to try things on, and tests of it under load."""

from loadsim.tester import LoadTestConfig, LoadTester

__all__ = ["LoadTestConfig", "LoadTester"]
