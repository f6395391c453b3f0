"""The client: `open_client` starts the supervision tree of one account and gives the `Client` to talk to it."""
