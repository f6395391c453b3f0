"""What is public: every module says so in ``__all__``, packages re-export it once, and the types are shipped."""

from __future__ import annotations

import ast
import importlib
import tomllib
import types
from pathlib import Path

import pytest

import potrio

MODULES = sorted(
    path.relative_to(Path(potrio.__file__).parents[1]).with_suffix("").as_posix().replace("/", ".")
    for path in Path(potrio.__file__).parent.rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py")
)
PACKAGES = sorted(
    path.parent.relative_to(Path(potrio.__file__).parents[1]).as_posix().replace("/", ".")
    for path in Path(potrio.__file__).parent.rglob("__init__.py")
)


def defined(tree: ast.Module) -> set[str]:
    """The public names a module's own top level makes, imports apart."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign():
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return {name for name in names if not name.startswith("_")}


def source_of(module: types.ModuleType) -> ast.Module:
    """The syntax tree of a module."""
    assert module.__file__ is not None
    return ast.parse(Path(module.__file__).read_text("utf-8"))


@pytest.mark.parametrize("name", MODULES)
def test_all_names_what_is_there(name: str) -> None:
    """``__all__`` is optional in a module of constants; where it is, it is true, sorted and free of repetitions."""
    module = importlib.import_module(name)
    if not hasattr(module, "__all__"):
        names = defined(source_of(module))
        assert names, f"{name} defines nothing public: say so with __all__"
        assert all(each.isupper() for each in names), f"{name} has no __all__"
        return

    assert [each for each in module.__all__ if not hasattr(module, each)] == []
    assert len(module.__all__) == len(set(module.__all__))
    assert set(module.__all__) <= defined(source_of(module)), "export a name where it is defined"


def test_modules_take_from_each_other_only_what_is_exported(root: Path, sources: list[Path]) -> None:
    """``__all__`` is the border of a module: what another one of ours imports must be in it."""
    crossed = []
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] not in (
                "potrio",
                "loadsim",
            ):
                continue
            origin = importlib.import_module(node.module or "")
            for alias in node.names:
                is_module = (root / (node.module or "").replace(".", "/") / f"{alias.name}.py").exists()
                if not is_module and alias.name not in getattr(origin, "__all__", dir(origin)):
                    crossed.append(
                        f"{path.relative_to(root)}:{node.lineno}: {node.module} keeps {alias.name} to itself"
                    )

    assert not crossed, "\n" + "\n".join(crossed)


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_reexport_by_name_and_once(name: str) -> None:
    package = importlib.import_module(name)
    names = list(getattr(package, "__all__", ()))

    assert len(names) == len(set(names))
    assert [each for each in names if not hasattr(package, each)] == []
    for node in source_of(package).body:
        if isinstance(node, ast.ImportFrom):
            imported = {alias.asname or alias.name for alias in node.names}
            assert "*" not in imported
            assert imported <= set(names), (
                f"{name} imports {sorted(imported - set(names))} and does not export it"
            )
            for each in imported:
                origin = importlib.import_module(node.module or "")
                assert each in getattr(origin, "__all__", ()), (
                    f"{name} re-exports {each}, which {node.module} does not"
                )


def test_types_are_shipped(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert (root / package / "py.typed").is_file()
