"""Every source file has a test file of its own: coverage by accident is not coverage."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

EXCEPTIONS: dict[str, tuple[str, str]] = {
    "loadsim/__main__.py": ("tests/interop/test_bad_input.py", "one call; every venue process starts in it"),
    "potrio/actors/keys.py": (
        "tests/client/test_client.py",
        "names without behaviour: who cannot be found is noticed",
    ),
}
"""source file -> (the test file that covers it, why it has none of its own)."""


def mirror_of(source: str) -> str:
    """The test file of a source file: ``potrio/a/b.py`` -> ``tests/a/test_b.py``, loadsim under its own name."""
    parts = source.removesuffix(".py").split("/")
    folders = parts[1:-1] if parts[0] == "potrio" else parts[:-1]
    return "/".join(("tests", *folders, f"test_{parts[-1].strip('_')}.py"))


def needing_tests(sources: list[Path], root: Path) -> list[str]:
    """The files that need a test: all but those that only re-export."""
    return [path.relative_to(root).as_posix() for path in sources if path.name != "__init__.py"]


def test_every_source_file_has_its_test_file(root: Path, sources: list[Path]) -> None:
    missing = [
        f"{source} has no {mirror_of(source)}"
        for source in needing_tests(sources, root)
        if source not in EXCEPTIONS and not (root / mirror_of(source)).is_file()
    ]

    assert not missing, "\n" + "\n".join(missing)


def test_exceptions_are_needed_and_their_tests_are_there(root: Path, sources: list[Path]) -> None:
    known = set(needing_tests(sources, root))
    for source, (covered_by, reason) in EXCEPTIONS.items():
        assert source in known, f"{source} is gone: take its exception out"
        assert not (root / mirror_of(source)).exists(), f"{source} has its own test: take its exception out"
        assert (root / covered_by).is_file(), f"{source}: {covered_by} is not there"
        assert reason


def test_init_files_only_reexport(root: Path, sources: list[Path]) -> None:
    """What needs no test has no code: an ``__init__.py`` is imports, ``__all__`` and a docstring."""
    for path in sources:
        if path.name != "__init__.py":
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            fine = isinstance(node, ast.ImportFrom | ast.Import) or (
                isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            )
            if isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                fine = isinstance(target, ast.Name) and target.id in ("__all__", "__version__")
            assert fine, f"{path.relative_to(root)}:{node.lineno}: code in an __init__ file"


@pytest.mark.parametrize(
    ("source", "mirror"),
    [
        ("potrio/errors.py", "tests/test_errors.py"),
        ("potrio/protocol/messages/market.py", "tests/protocol/messages/test_market.py"),
        ("loadsim/venue/deals.py", "tests/loadsim/venue/test_deals.py"),
    ],
)
def test_mirror_of(source: str, mirror: str) -> None:
    assert mirror_of(source) == mirror
