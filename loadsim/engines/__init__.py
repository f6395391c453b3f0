"""Engines: where the shards of a run live: in this process, in processes of this machine, or on workers of Dask."""
