"""What the documentation shows, works: every block of code is run, and the map names the files that are there.

A ``python`` block is a whole program; it finds a running venue in ``POTRIO_URL`` and an SSID for it in
``POCKETOPTION_SSID``. In a ``console`` block a line that starts with ``$`` is run by bash, and lines below it, if any,
must be in its output (``...`` stands for anything). A server is started, must say that it is ready, and is stopped as
a user stops it. Of a make target only the existence is checked: the targets call each other, and this test.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
ARCHITECTURE_LINES_MAX = 250
SECONDS = 60
SSID = '42["auth",{"session":"docsexamplesession0demo0","isDemo":1,"uid":4242,"platform":2,"isFastHistory":true}]'

FENCE = re.compile(r"^```([\w{}]*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KNOWN_LANGUAGES = {"python", "console", "text", "json", "toml", "{toctree}"}


class Block(NamedTuple):
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str, text: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [
        Block(page, text[: found.start()].count("\n") + 1, found[1], found[2])
        for found in FENCE.finditer(text)
    ]


BLOCKS = [
    block
    for page in PAGES
    if "_build" not in page.parts
    for block in blocks_of(page.relative_to(ROOT).as_posix(), page.read_text("utf-8"))
]


def environment(url: str = "") -> dict[str, str]:
    """What a reader would have: the commands of this environment first on the path, and a venue to talk to."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "POTRIO_URL": url, "POCKETOPTION_SSID": SSID, "NO_COLOR": "1"}


def serve(command: str, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a server and read its first line."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline()


def stop(process: subprocess.Popen[str]) -> str:
    """Stop a server by Ctrl-C; return what else it printed."""
    process.send_signal(signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors, errors
    return output


@pytest.fixture(scope="module")
def venue_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A venue in its own process."""
    process, line = serve("python -m loadsim venue --port 0 --seed 3", tmp_path_factory.mktemp("venue"))
    try:
        assert line.startswith("venue ready "), line + (process.communicate(timeout=5)[1] if not line else "")
        yield line.removeprefix("venue ready ").strip()
    finally:
        stop(process)


def test_languages_are_known() -> None:
    """A misspelt language would keep a block from being run."""
    assert [f"{block}: {block.language!r}" for block in BLOCKS if block.language not in KNOWN_LANGUAGES] == []


def test_there_is_something_to_run() -> None:
    assert {"python", "console"} <= {block.language for block in BLOCKS if block.page == "README.md"}


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python_block(block: Block, venue_url: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(block.code)
    command = [sys.executable, "-W", "error", str(program)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(venue_url),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    assert done.stderr == ""


def commands_of(code: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the output shown below it."""
    commands: list[tuple[str, list[str]]] = []
    for line in code.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif line.strip():
            assert commands, f"output before any command: {line}"
            commands[-1][1].append(line)
    return commands


def check_output(shown: list[str], output: str) -> None:
    """Each line that is shown is in the output, in this order."""
    rest = output.splitlines()
    for line in shown:
        pattern = re.compile(".*".join(re.escape(part) for part in line.split("...")))
        while rest and not pattern.fullmatch(rest[0]):
            rest.pop(0)
        assert rest, f"not in the output: {line}\n{output}"


def run_command(command: str, venue_url: str, folder: Path) -> str:
    """Run one command of a console block as the module's docstring says."""
    if command.startswith("make "):
        command = f"{command.replace('make ', 'make --dry-run ', 1)} --directory {ROOT} > /dev/null"
    if "loadsim venue" in command and "--help" not in command:
        process, line = serve(command, folder)
        return line + stop(process)
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(venue_url),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "console"], ids=str)
def test_console_block(block: Block, venue_url: str, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")  # a reader is in the checkout
    for command, shown in commands_of(block.code):
        check_output(shown, run_command(command, venue_url, tmp_path))


# --- the map ---------------------------------------------------------------------------------------------------------


def files_named(text: str) -> list[str]:
    """The files a page names between backticks; a bare name belongs to the folder named last before it."""
    files = []
    folder = ""
    for name in re.findall(r"`([\w./-]+)`", text):
        if name.endswith("/"):
            folder = name
        elif name.endswith((".py", ".md", ".toml")) or name == "Makefile":
            files.append(name if "/" in name or (ROOT / name).exists() else folder + name)
    return files


def test_architecture_is_short() -> None:
    assert (ROOT / "ARCHITECTURE.md").read_text("utf-8").count("\n") <= ARCHITECTURE_LINES_MAX


@pytest.mark.parametrize(
    "page", ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "STYLE.md"]
)
def test_every_file_a_page_names_exists(page: str) -> None:
    text = FENCE.sub("", (ROOT / page).read_text("utf-8"))
    examples = {"potrio/a/b.py", "tests/a/test_b.py"}  # STYLE.md explains the mirror with them
    missing = [name for name in files_named(text) if not (ROOT / name).exists() and name not in examples]

    assert missing == []


def test_the_code_map_names_every_source_file(sources: list[Path]) -> None:
    named = set(files_named((ROOT / "docs" / "code-map.md").read_text("utf-8")))
    relative = [path.relative_to(ROOT).as_posix() for path in sources]
    missing = [path for path in relative if not path.endswith("__init__.py")]

    assert [path for path in missing if path not in named] == []


def test_the_code_map_has_the_captions_of_the_files() -> None:
    command = [sys.executable, str(ROOT / "docs" / "code_map.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0, done.stderr


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*PAGES, *ROOT.glob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", FENCE.sub("", page.read_text("utf-8")))
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert broken == []


# --- the checks are checked ------------------------------------------------------------------------------------------


def test_blocks_are_found_with_their_lines() -> None:
    text = "# x\n\n```python\nprint(1)\n```\n\n```console\n$ ls\na\n```\n"

    assert blocks_of("x.md", text) == [
        Block("x.md", 3, "python", "print(1)\n"),
        Block("x.md", 7, "console", "$ ls\na\n"),
    ]


def test_commands_and_their_output() -> None:
    commands = commands_of("$ echo a b\na ...\n$ true\n")

    assert commands == [("echo a b", ["a ..."]), ("true", [])]
    check_output(["a ..."], "first\na b\n")
    with pytest.raises(AssertionError, match="not in the output"):
        check_output(["b"], "a\n")


def test_a_failing_command_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        run_command("exit 3", "", tmp_path)
    with pytest.raises(AssertionError):
        run_command("make no-such-target", "", tmp_path)


def test_files_named_follows_the_folder() -> None:
    text = "`potrio/protocol/` has `session.py`, see `potrio/errors.py`"

    assert files_named(text) == ["potrio/protocol/session.py", "potrio/errors.py"]
