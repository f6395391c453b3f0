"""The commands of `python -m loadsim`, a file for each family; `loadsim/cli.py` groups them."""
