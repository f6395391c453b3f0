"""The actors of a client: one file each, holding its messages, its state and its function."""
