"""Writes docs/code-map.md from the captions of the files; with ``--check`` it only compares."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "code-map.md"
BEGIN = "<!-- the map: written by `make fix` from the first line of each file -->"
END = "<!-- end of the map -->"


def caption(path: Path) -> str:
    """The first line of a file's docstring, without its full stop."""
    doc = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "?"
    return re.sub(r"`+", "", doc.splitlines()[0]).rstrip(".:")


def lines(folder: Path) -> list[str]:
    """One line for a package, one for each of its files, then its sub-packages."""
    found = [f"**`{folder.relative_to(ROOT).as_posix()}/`** {caption(folder / '__init__.py')}"]
    found.append("")
    found += [
        f"- `{path.name}` {caption(path)}" for path in sorted(folder.glob("*.py")) if path.stem != "__init__"
    ]
    found.append("")
    for below in sorted(path.parent for path in folder.glob("*/__init__.py")):
        found += lines(below)
    return found


def written(text: str) -> str:
    """The page with its map brought up to date."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    code_map = "\n".join([*lines(ROOT / "potrio"), *lines(ROOT / "loadsim")])
    return f"{before}{BEGIN}\n\n{code_map}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it would change."""
    text = PAGE.read_text("utf-8")
    current = written(text)
    if "--check" in arguments:
        if text != current:
            sys.stderr.write("docs/code-map.md is not up to date: run `make fix`\n")
        return int(text != current)
    PAGE.write_text(current, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
