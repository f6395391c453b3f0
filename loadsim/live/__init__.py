"""A run as it is looked at while it runs: on a terminal, in a log, in a browser."""
