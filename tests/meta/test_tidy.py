"""The rules of STYLE.md that a machine can keep: sizes, captions, banned calls (with what to use instead), words.

Each check is a function from text to faults, and is tested on planted samples at the end of the file: a lint that
finds nothing is only worth something when it is known to find what is there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

FILE_LINES_MAX = 400
TEST_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
CAPTION_CHARS_MAX = 200

SEAM = "take a Seam argument (potrio/seam.py) and call"
BANNED = {
    "time.time": f"{SEAM} wall()",
    "time.time_ns": f"{SEAM} wall()",
    "time.monotonic": f"{SEAM} now()",
    "time.monotonic_ns": f"{SEAM} now()",
    "time.perf_counter": f"{SEAM} now()",
    "time.perf_counter_ns": f"{SEAM} now()",
    "time.localtime": f"{SEAM} wall()",
    "time.gmtime": f"{SEAM} wall()",
    "time.sleep": "await trio.sleep()",
    "datetime.datetime.now": f"{SEAM} wall()",
    "datetime.datetime.utcnow": f"{SEAM} wall()",
    "datetime.datetime.today": f"{SEAM} wall()",
    "datetime.date.today": f"{SEAM} wall()",
    "random.*": f"{SEAM} generator(), or take a random.Random",
    "uuid.uuid1": f"{SEAM} new_id()",
    "uuid.uuid4": f"{SEAM} new_id()",
    "os.urandom": f"{SEAM} mask_bytes()",
    "secrets.*": f"{SEAM} mask_bytes()",
    "socket.socket": f"{SEAM} connect_tcp() or listen_tcp()",
    "socket.create_connection": f"{SEAM} connect_tcp()",
    "socket.create_server": f"{SEAM} listen_tcp()",
    "socket.getaddrinfo": f"{SEAM} resolve()",
    "trio.socket.socket": f"{SEAM} connect_tcp() or listen_tcp()",
    "trio.socket.getaddrinfo": f"{SEAM} resolve()",
    "trio.open_tcp_stream": f"{SEAM} connect_tcp()",
    "trio.open_ssl_over_tcp_stream": f"{SEAM} connect_tcp() and wrap_tls()",
    "trio.open_tcp_listeners": f"{SEAM} listen_tcp()",
    "trio.serve_tcp": f"{SEAM} listen_tcp()",
    "trio.open_file": f"{SEAM} read_file() or write_file()",
    "trio.Path": f"{SEAM} read_file() or write_file()",
    "open": f"{SEAM} read_file() or write_file()",
    "io.open": f"{SEAM} read_file() or write_file()",
    "os.open": f"{SEAM} read_file() or write_file()",
    "os.environ": f"{SEAM} environment()",
    "os.getenv": f"{SEAM} environment()",
    "print": "return the text, or log it; commands print with click.echo()",
    "trio.open_nursery": "make it a child of a supervisor (potrio/supervision)",
}
ALLOWED_NAMES = {"random.Random", "random.Random.getstate", "random.Random.setstate"}
"""`random.Random` is a type, and with a seed a deterministic generator; without a seed it is refused below."""

BUILTINS = {"open", "print"}
BANNED_METHODS = {"read_text", "read_bytes", "write_text", "write_bytes"}

ALLOWED: dict[tuple[str, str], str] = {
    ("potrio/seam.py", "*"): "the one door",
    (
        "potrio/actors/connection.py",
        "trio.open_nursery",
    ): "an actor's own reader and writer, inside its own scope",
    ("potrio/actors/wire.py", "trio.open_nursery"): "reader and writer of one connection end together",
    ("potrio/cli/interrupt.py", "trio.open_nursery"): "a program's own: the command and its signals",
    ("potrio/cli/progress.py", "trio.open_nursery"): "a program's own: what is shown while it waits",
    ("potrio/cli/trade.py", "trio.open_nursery"): "a program's own: what is printed while it waits",
    ("potrio/cli/story.py", "trio.open_nursery"): "a program of the user's kind: three orders at once",
    ("potrio/transport/trio_ws.py", "trio.open_nursery"): "trio-websocket wants one for its reader",
    ("potrio/supervision/engine.py", "trio.open_nursery"): "one for each supervisor",
    ("potrio/supervision/opening.py", "trio.open_nursery"): "the root, under the embedding program",
    ("potrio/testing/__main__.py", "trio.open_nursery"): "a program's own: the server and its signals",
    ("loadsim/cli.py", "trio.open_nursery"): "a program's own: the server and its signals",
    (
        "loadsim/live/dashboard.py",
        "trio.open_nursery",
    ): "somebody else's server beside the run; a reader that goes",
    ("loadsim/tester/tester.py", "trio.open_nursery"): "the clients of one phase, which ends with them",
    (
        "loadsim/venue/connection.py",
        "trio.open_nursery",
    ): "reader and writer of one connection; it ends with them",
    (
        "loadsim/engines/child.py",
        "trio.open_nursery",
    ): "a process of its own: the shard, its ears and its mouth",
    ("loadsim/engines/scope.py", "trio.open_nursery"): "the controller of a run: its engine's tasks",
    ("loadsim/run.py", "trio.open_nursery"): "the controller of a run: reports, faults, thresholds, signals",
    ("loadsim/commands/playing.py", "trio.open_nursery"): "a program's own: the run and its signals",
    **{
        (
            f"loadsim/swarm/{name}.py",
            "trio.open_nursery",
        ): "the clients and faults of one run, which end with it"
        for name in ("crowd", "faults", "full", "link_faults", "shard")
    },
    ("loadsim/report/html.py", "read_bytes"): "a file of the package, compared with its digest",
    (
        "loadsim/simulation/world.py",
        "trio.open_nursery",
    ): "a simulated world: users, faults and readers end with it",
    ("loadsim/venue/replay.py", "trio.open_nursery"): "a listener beside the player of one connection",
    (
        "loadsim/soak/simulated.py",
        "trio.open_nursery",
    ): "a program of the user's kind: several clients and the weather",
    (
        "loadsim/soak/user.py",
        "trio.open_nursery",
    ): "a program of the user's kind: all that one user does at once",
    (
        "loadsim/soak/wire.py",
        "trio.open_nursery",
    ): "a program of the user's kind: readers outlive those who trade",
    ("loadsim/venue/server.py", "trio.open_nursery"): "the venue's own: accept, market, deals",
}
"""(file, banned name) -> why it may. Each entry must be in use: a test takes out the ones that are not."""


class Fault(NamedTuple):
    """One thing that is not as it must be."""

    path: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


# --- the checks ------------------------------------------------------------------------------------------------------


def check_size(path: str, text: str, lines_max: int = FILE_LINES_MAX) -> Iterator[Fault]:
    """A file is what a person can hold in mind."""
    lines = text.count("\n")
    if lines > lines_max:
        yield Fault(path, lines, "file-size", f"{lines} lines; the limit is {lines_max}: split it by idea")


def check_functions(path: str, tree: ast.Module) -> Iterator[Fault]:
    """A function is a screen, its docstring apart."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        assert node.end_lineno is not None
        lines = node.end_lineno - node.lineno + 1
        if ast.get_docstring(node, clean=False) is not None:
            doc = node.body[0]
            assert doc.end_lineno is not None
            lines -= doc.end_lineno - doc.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield Fault(
                path,
                node.lineno,
                "function-size",
                f"{node.name}: {lines} lines; the limit is {FUNCTION_LINES_MAX}",
            )


def check_caption(path: str, tree: ast.Module) -> Iterator[Fault]:
    """The first line of the docstring is the file's caption on the map."""
    doc = ast.get_docstring(tree)
    if not doc:
        yield Fault(path, 1, "caption", "no docstring: its first line is the file's caption")
        return
    caption = doc.splitlines()[0]
    if not caption.endswith((".", ":")) or len(caption) > CAPTION_CHARS_MAX:
        yield Fault(path, 1, "caption", "the first line must be one whole sentence")
    elif caption == "Placeholder caption.":
        yield Fault(path, 1, "caption", "say what the file is for")


class _Names(ast.NodeVisitor):
    """Resolves names through the imports of one file, and meets every use of one that came from outside."""

    def __init__(self) -> None:
        self.imported: dict[str, str] = {}
        self.uses: list[tuple[int, str, ast.AST | None]] = []

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imported[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            self.uses.append((node.lineno, f"{node.module}.{alias.name}", None))

    def visit_Call(self, node: ast.Call) -> None:
        name = self.dotted(node.func)
        if name:
            self.uses.append((node.lineno, name, node))
        else:
            self.visit(node.func)
        for child in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.visit(child)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self.dotted(node)
        if name:
            self.uses.append((node.lineno, name, None))
        else:
            self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        name = self.dotted(node)
        if name and name not in BUILTINS:  # alone they may be a field or an argument of that name
            self.uses.append((node.lineno, name, None))

    def dotted(self, node: ast.AST) -> str | None:
        """The full name behind an expression, where it starts at an import or a builtin."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id if node.id in BUILTINS else None)
        if isinstance(node, ast.Attribute):
            base = self.dotted(node.value)
            return f"{base}.{node.attr}" if base else None
        return None


def check_banned(path: str, tree: ast.Module) -> Iterator[Fault]:
    """Clocks, chance, sockets, files, tasks and output have one door each; the fault names it."""
    names = _Names()
    names.visit(tree)
    for line, name, call in names.uses:
        parent = name.rpartition(".")[0]
        instead = BANNED.get(name) or (BANNED.get(f"{parent}.*") if name not in ALLOWED_NAMES else None)
        unseeded = name == "random.Random" and isinstance(call, ast.Call) and not call.args
        if unseeded:
            yield Fault(path, line, "random.*", f"random.Random() without a seed: {BANNED['random.*']}")
        elif instead:
            rule = name if name in BANNED else f"{parent}.*"
            yield Fault(path, line, rule, f"{name}: {instead}")
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in BANNED_METHODS
        ):
            yield Fault(
                path, node.lineno, node.func.attr, f".{node.func.attr}(): {SEAM} read_file() or write_file()"
            )


def check_handlers(path: str, tree: ast.Module) -> Iterator[Fault]:
    """What catches everything, cancellation among it, must pass it on."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = ast.unparse(node.type) if node.type else "everything"
        if "BaseException" not in caught.replace("BaseExceptionGroup", "") and caught != "everything":
            continue
        if not any(isinstance(inner, ast.Raise) for inner in ast.walk(node)):
            yield Fault(
                path, node.lineno, "except", f"`except {caught}` must re-raise: it holds Cancelled as well"
            )


def check_channels(path: str, tree: ast.Module) -> Iterator[Fault]:
    """Every queue has a bound."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and "open_memory_channel" in ast.unparse(node.func)):
            continue
        for argument in node.args:
            if re.search(r"\binf\b", ast.unparse(argument)):
                yield Fault(
                    path, node.lineno, "channel", "a channel without a bound: name one in potrio/limits.py"
                )


MARKS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
MACHINE_PATHS = re.compile(
    r"(?<![\w./<>-])/(?:" + "|".join(("wo" + "rk", "tm" + "p", "ro" + "ot")) + r")(?:/|\b)"
)
REGISTRIES = re.compile(
    "|".join(
        (
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "npm" + r"js\.org",
            "golang" + r"\.org",
            "crates" + r"\.io",
        )
    )
)


def check_words(path: str, text: str) -> Iterator[Fault]:
    """No unfinished business, no path of one machine, no host of a package registry."""
    for number, line in enumerate(text.splitlines(), 1):
        if MARKS.search(line):
            yield Fault(path, number, "mark", "finish it, or file an issue and say what holds today")
        if MACHINE_PATHS.search(line):
            yield Fault(path, number, "machine-path", "a path of one machine: take a folder as an argument")
        if REGISTRIES.search(line):
            yield Fault(path, number, "registry", "the name of a package registry's host has no place here")


# --- the repository --------------------------------------------------------------------------------------------------


TEXTS = {".py", ".md", ".toml", ".txt", ".cfg", ".yml", ".yaml", ".json", ".rst", ".html", ".css", ".js", ""}
PASSED_OVER = re.compile(
    r"^(\.git|\.venv.*|\.[a-z_]+_cache|\.hypothesis|__pycache__|_build|build|dist|.*\.egg-info)$"
)


def texts(root: Path) -> Iterator[Path]:
    """Every text file of the repository that a person wrote."""
    for path in sorted(root.iterdir()):
        if PASSED_OVER.match(path.name):
            continue
        if path.is_dir():
            yield from texts(path)
        elif path.suffix in TEXTS and path.is_file():
            yield path


def allowed(fault: Fault) -> tuple[str, str] | None:
    """The entry of ALLOWED that covers a fault."""
    for key in ((fault.path, fault.rule), (fault.path, "*")):
        if key in ALLOWED:
            return key
    return None


def report(faults: list[Fault]) -> None:
    """Fail with one line for each fault."""
    assert not faults, "\n" + "\n".join(map(str, faults))


def parsed(root: Path, sources: list[Path]) -> Iterator[tuple[str, ast.Module]]:
    """Relative path and syntax tree of each source file."""
    for path in sources:
        yield path.relative_to(root).as_posix(), ast.parse(path.read_text("utf-8"))


def test_files_are_small(root: Path, sources: list[Path]) -> None:
    tests = [path for folder in ("tests", "benchmarks") for path in (root / folder).rglob("*.py")]
    faults = [f for p in sources for f in check_size(p.relative_to(root).as_posix(), p.read_text("utf-8"))]
    for path in tests:
        faults += check_size(path.relative_to(root).as_posix(), path.read_text("utf-8"), TEST_LINES_MAX)
    report(faults)


def test_functions_are_a_screen(root: Path, sources: list[Path]) -> None:
    report([fault for path, tree in parsed(root, sources) for fault in check_functions(path, tree)])


def test_every_file_has_a_caption(root: Path, sources: list[Path]) -> None:
    report([fault for path, tree in parsed(root, sources) for fault in check_caption(path, tree)])


def test_banned_calls_and_every_exception_is_used(root: Path, sources: list[Path]) -> None:
    faults: list[Fault] = []
    used: set[tuple[str, str]] = set()
    for path, tree in parsed(root, sources):
        for fault in check_banned(path, tree):
            key = allowed(fault)
            if key is None:
                faults.append(fault)
            else:
                used.add(key)
    report(faults)

    assert sorted(set(ALLOWED) - used) == [], "exceptions nothing uses any more"


def test_handlers_reraise_and_channels_are_bounded(root: Path, sources: list[Path]) -> None:
    trees = list(parsed(root, sources))
    faults = [fault for path, tree in trees for fault in check_handlers(path, tree)]
    report(faults + [fault for path, tree in trees for fault in check_channels(path, tree)])


def test_words(root: Path) -> None:
    report(
        [f for p in texts(root) for f in check_words(p.relative_to(root).as_posix(), p.read_text("utf-8"))]
    )


# --- the checks are checked ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        ("import time\ntime.monotonic()", ["time.monotonic"]),
        ("import time as t\nclock = t.time", ["time.time"]),
        ("from time import perf_counter", ["time.perf_counter"]),
        ("from datetime import datetime\ndatetime.now()", ["datetime.datetime.now"]),
        ("import datetime as dt\ndt.datetime.utcnow()", ["datetime.datetime.utcnow"]),
        ("import random\nrandom.random()\nrandom.choice([1])", ["random.*", "random.*"]),
        ("import random\nrandom.Random()", ["random.*"]),
        ("import random\ndef f(r: random.Random): return random.Random(7)", []),
        ("from random import Random\nRandom()", ["random.*"]),
        ("import secrets\nsecrets.token_hex()", ["secrets.*"]),
        ("from potrio.secrets import Secret\nSecret('x')", []),
        ("import os, uuid\nos.urandom(4)\nuuid.uuid4()", ["os.urandom", "uuid.uuid4"]),
        ("import os\nos.environ['HOME']", ["os.environ"]),
        ("import socket\nsocket.socket()\nsocket.AF_INET", ["socket.socket"]),
        ("import trio\nasync def f():\n  await trio.open_tcp_stream('h', 1)", ["trio.open_tcp_stream"]),
        ("open('x')", ["open"]),
        ("Path('x').read_text()", ["read_text"]),
        ("self.open('x')", []),
        ("class A:\n  open: float\ndef f(open): return open", []),
        ("print('x')", ["print"]),
        ("import trio\nasync def f():\n  async with trio.open_nursery() as n: pass", ["trio.open_nursery"]),
        ("def f(now): return now + time.time", []),
    ],
)
def test_check_banned_finds_what_is_planted(source: str, rules: list[str]) -> None:
    assert [fault.rule for fault in check_banned("x.py", ast.parse(source))] == rules


def test_a_banned_call_names_its_replacement() -> None:
    (fault,) = check_banned("potrio/x.py", ast.parse("import time\ntime.time()"))

    assert str(fault) == (
        "potrio/x.py:2: time.time: time.time: take a Seam argument (potrio/seam.py) and call wall()"
    )


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("try: pass\nexcept BaseException: pass", 1),
        ("try: pass\nexcept: pass", 1),
        ("try: pass\nexcept (ValueError, BaseException): x()", 1),
        ("try: pass\nexcept BaseException:\n  x()\n  raise", 0),
        ("try: pass\nexcept BaseExceptionGroup as g: x(g)", 0),
        ("try: pass\nexcept Exception: pass", 0),
    ],
)
def test_check_handlers_finds_what_is_planted(source: str, count: int) -> None:
    assert len(list(check_handlers("x.py", ast.parse(source)))) == count


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("trio.open_memory_channel(math.inf)", 1),
        ("trio.open_memory_channel[int](float('inf'))", 1),
        ("open_memory_channel(inf)", 1),
        ("trio.open_memory_channel(MAILBOX_CAPACITY)", 0),
    ],
)
def test_check_channels_finds_what_is_planted(source: str, count: int) -> None:
    assert len(list(check_channels("x.py", ast.parse(source)))) == count


def test_check_size_counts_lines() -> None:
    assert list(check_size("x.py", "x\n" * FILE_LINES_MAX)) == []
    assert len(list(check_size("x.py", "x\n" * (FILE_LINES_MAX + 1)))) == 1


def test_check_functions_counts_lines_without_the_docstring() -> None:
    def source(lines: int, doc: str) -> ast.Module:
        return ast.parse("class A:\n  async def f(self):\n" + doc + "    x\n" * (lines - 1))

    doc = '    """' + "line\n" * 50 + '    """\n'

    assert list(check_functions("x.py", source(FUNCTION_LINES_MAX, ""))) == []
    assert list(check_functions("x.py", source(FUNCTION_LINES_MAX, doc))) == []
    assert len(list(check_functions("x.py", source(FUNCTION_LINES_MAX + 1, "")))) == 1
    assert len(list(check_functions("x.py", source(FUNCTION_LINES_MAX + 1, doc)))) == 1


@pytest.mark.parametrize(
    "source", ["x = 1", '"""no stop"""', '"""Placeholder caption."""', f'"""{"x" * 300}."""']
)
def test_check_caption_finds_what_is_planted(source: str) -> None:
    assert len(list(check_caption("x.py", ast.parse(source)))) == 1


def test_check_caption_accepts_a_sentence() -> None:
    assert list(check_caption("x.py", ast.parse('"""Frames of RFC 6455.\n\nMore."""'))) == []


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("# TO" + "DO later", "mark"),
        ("FIX" + "ME", "mark"),
        ("cd /wo" + "rk/main", "machine-path"),
        ('open("/tm' + 'p/x")', "machine-path"),
        ("~ is /ro" + "ot", "machine-path"),
        ("from https://py" + "pi.org/simple", "registry"),
    ],
)
def test_check_words_finds_what_is_planted(line: str, rule: str) -> None:
    assert [fault.rule for fault in check_words("x.md", f"fine\n{line}\n")] == [rule]


@pytest.mark.parametrize(
    "line", ["a/tm" + "p_path", "method", "the /wor" + "ker", "https://x.example/ro" + "ot-cause"]
)
def test_check_words_leaves_the_rest_alone(line: str) -> None:
    assert list(check_words("x.md", line)) == []
