"""The wheel: what is in it is what is in the tree, byte for byte, and from a clean folder it imports and runs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import potrio

NEEDED = {"anyio", "h11", "msgspec", "trio", "trio-websocket", "wsproto"}
SHIPPED = ("potrio/py.typed", "loadsim/py.typed", "loadsim/report/assets/uPlot.LICENSE")


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    """What a program says; where it fails, its errors are the test's."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(root: Path, folder: Path) -> Path:
    """Build with what is installed: nothing is fetched."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=root)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(Path(potrio.__file__).parents[1], tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def metadata(content: dict[str, bytes]) -> Message:
    return Parser().parsestr(content[f"potrio-{potrio.__version__}.dist-info/METADATA"].decode())


def test_its_content_is_the_trees(root: Path, content: dict[str, bytes]) -> None:
    tree = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for package in ("potrio", "loadsim")
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name: data for name, data in content.items() if ".dist-info/" not in name}

    assert packed.keys() == tree.keys()
    assert packed == tree
    assert set(SHIPPED) <= packed.keys()


def test_it_is_pure_and_the_same_bytes_each_time(root: Path, wheel: Path, tmp_path: Path) -> None:
    assert wheel.name == f"potrio-{potrio.__version__}-py3-none-any.whl"
    assert build(root, tmp_path).read_bytes() == wheel.read_bytes()


def test_what_it_says_of_itself(root: Path, content: dict[str, bytes], metadata: Message) -> None:
    about = f"potrio-{potrio.__version__}.dist-info"
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]

    assert metadata["Version"] == potrio.__version__
    assert metadata["License-Expression"] == "MIT"
    assert content[f"{about}/licenses/LICENSE"] == (root / "LICENSE").read_bytes()
    assert {line.split("<")[0].split(">")[0] for line in required} == NEEDED
    assert content[f"{about}/entry_points.txt"].decode().split() == [
        *("[console_scripts]", "loadsim", "=", "loadsim.__main__:main"),
        *("potrio", "=", "potrio.__main__:main"),
    ]


def test_the_version_has_one_place(root: Path) -> None:
    written = f'"{potrio.__version__}"'

    assert written not in (root / "pyproject.toml").read_text()
    assert (root / "potrio/__init__.py").read_text().count(written) == 1


def test_it_installs_into_a_clean_folder_and_runs_from_there(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clean"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index")
    run(*pip, "--no-deps", "--no-compile", "--target", folder, wheel, cwd=tmp_path)
    question = (
        "import potrio, loadsim, loadsim.venue; print(potrio.__file__, loadsim.__file__, potrio.__version__)"
    )
    told = run(sys.executable, "-c", question, cwd=tmp_path, PYTHONPATH=str(folder)).split()

    assert told == [
        str(folder / "potrio/__init__.py"),
        str(folder / "loadsim/__init__.py"),
        potrio.__version__,
    ]
    for command in ("potrio", "loadsim"):
        said = run(sys.executable, folder / "bin" / command, "--help", cwd=tmp_path, PYTHONPATH=str(folder))
        assert "Usage" in said
