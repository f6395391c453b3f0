"""The test kit for those who build on potrio: Hypothesis strategies for what travels on the wire."""
