"""The command line: `potrio demo` and friends. Needs the extra ``cli`` (click, rich)."""
