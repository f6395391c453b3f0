"""The dashboard over raw requests on loopback: what it answers, to whom, for how long, and that it holds nothing up."""

from __future__ import annotations

import builtins
import json
import logging
import socket
import subprocess
import sys
import textwrap
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
import trio.testing

from loadsim.live import dashboard as module
from loadsim.live.access import Access
from loadsim.live.dashboard import Dashboard, announced, open_dashboard
from potrio.errors import ConfigError

from .conftest import MadeUp

GUARD_S = 60
"""Nothing here lasts so long unless it never ends."""


@pytest.fixture
async def served(run: MadeUp):
    run.tick(12)
    async with open_dashboard(run.watch) as dashboard:
        yield dashboard


def address(dashboard: Dashboard) -> tuple[int, str, str]:
    """Port, Host and the beginning of every path."""
    host, _, path = dashboard.url.removeprefix("http://").partition("/")
    return int(host.rpartition(":")[2]), host, "/" + path


async def connect(dashboard: Dashboard) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", address(dashboard)[0])


async def ask(
    dashboard: Dashboard, place: str = "", method: str = "GET", *, path: str | None = None, **headers: str
):
    """One request; returns its status, its headers and its body."""
    _, host, base = address(dashboard)
    fields = {"Host": host, "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [
        f"{method} {base + place if path is None else path} HTTP/1.1",
        *(f"{n}: {v}" for n, v in fields.items()),
    ]
    data = b""
    with trio.fail_after(GUARD_S):
        async with await connect(dashboard) as stream:
            await stream.send_all("\r\n".join([*lines, "", ""]).encode())
            async for part in stream:
                data += part
    head, _, body = data.partition(b"\r\n\r\n")
    status, *rest = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in rest), body


class Reader:
    """Reads the event stream."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.data = b""

    async def event(self) -> tuple[str, dict]:
        with trio.fail_after(GUARD_S):
            while b"event: delta" not in self.data or b"\n\n" not in self.data.partition(b"event: delta")[2]:
                part = await self.stream.receive_some()
                assert part, "the stream has ended"
                self.data += part
        text, _, self.data = self.data[self.data.index(b"id: ") :].partition(b"\n\n")
        lines = dict(line.split(": ", 1) for line in text.decode().splitlines() if ": " in line)
        return lines["id"], json.loads(lines["data"])

    async def rest(self) -> bytes:
        with trio.fail_after(GUARD_S):
            async for part in self.stream:
                self.data += part
        return self.data


@asynccontextmanager
async def reading(dashboard: Dashboard, last_id: str = ""):
    _, host, base = address(dashboard)
    async with await connect(dashboard) as stream:
        more = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        await stream.send_all(f"GET {base}events HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
        yield Reader(stream)


async def until(condition, within: float = GUARD_S) -> None:
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110  # the server tells nobody when a reader has gone
            await trio.sleep(0.02)


# --- what it answers -------------------------------------------------------------------------------------------------


async def test_the_page_and_what_it_loads(served: Dashboard) -> None:
    for place, kind in (
        ("", "text/html"),
        ("page.js", "text/javascript"),
        ("page.css", "text/css"),
        ("uplot.js", "text/javascript"),
        ("uplot.css", "text/css"),
    ):
        status, headers, body = await ask(served, place)
        assert status == 200, place
        assert headers["content-type"].startswith(kind)
        assert body
    assert b"uPlot" in (await ask(served, "uplot.js"))[2]
    assert b"Permission is hereby granted" in (await ask(served, "uplot.js"))[2], "the licence goes with it"


async def test_every_answer_has_the_policy(served: Dashboard) -> None:
    for place, method in (
        ("", "GET"),
        ("nothing", "GET"),
        ("state.json", "GET"),
        ("stop", "POST"),
        ("", "DELETE"),
    ):
        _, headers, _ = await ask(served, place, method)
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert "http" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert not [name for name in headers if name.startswith("access-control")]


async def test_the_state_as_json(served: Dashboard, run: MadeUp) -> None:
    status, headers, body = await ask(served, "state.json")

    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body) == json.loads(json.dumps(run.watch.view.plain()))


async def test_only_what_is_there_and_only_reading(served: Dashboard, run: MadeUp) -> None:
    assert (await ask(served, "nothing"))[0] == 404
    assert (await ask(served, "../pyproject.toml"))[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert (await ask(served, "state.json", method))[0] == 405, method
    assert (await ask(served, "stop"))[0] == 405
    status, _, body = await ask(served, "", "HEAD")
    assert (status, body) == (200, b"")
    assert run.watch.stop_reason is None


async def test_a_websocket_is_refused(served: Dashboard) -> None:
    status, _, _ = await ask(
        served,
        "events",
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
    )
    assert status == 403


# --- the stream ------------------------------------------------------------------------------------------------------


async def test_the_stream_has_everything_first_then_what_changed(served: Dashboard, run: MadeUp) -> None:
    async with reading(served) as reader:
        id, first = await reader.event()
        assert [row["t"] for row in first["rows"]] == list(range(12))
        assert (first["view"]["name"], first["view"]["history"]) == ("made up <b>", [])
        assert id == "r1/12"

        run.tick()
        id, second = await reader.event()
        assert [row["t"] for row in second["rows"]] == [12]
        assert (second["view"]["t"], id) == (12.0, "r1/13")


async def test_not_more_than_one_event_a_second(
    run: MadeUp, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """Without the server: its sockets would not be in virtual time."""
    run.tick(12)
    dashboard = Dashboard(run.watch, Access("127.0.0.1", None), 80)
    scope = {"type": "http", "method": "GET", "path": "/events", "headers": [(b"host", b"127.0.0.1:80")]}
    sent: list[tuple[float, list[int]]] = []

    async def receive() -> module.Message:
        await trio.sleep_forever()
        raise AssertionError

    async def send(message: module.Message) -> None:
        await trio.lowlevel.checkpoint()
        if b"event: delta" in message.get("body", b""):
            data = json.loads(message["body"].partition(b"data: ")[2])
            sent.append((trio.current_time(), [row["t"] for row in data["rows"]]))

    nursery.start_soon(dashboard, scope, receive, send)
    await trio.sleep(0.1)
    run.tick(2)
    await trio.sleep(0.1)
    run.tick(2)
    await trio.sleep(5)
    nursery.cancel_scope.cancel()

    assert sent == [(0.0, list(range(12))), (1.0, [12, 13, 14, 15])], "what came meanwhile is in it"


async def test_a_reader_that_comes_again_gets_what_it_missed(served: Dashboard, run: MadeUp) -> None:
    async with reading(served) as reader:
        id, _ = await reader.event()
    run.tick(3)
    async with reading(served, id) as reader:
        _, event = await reader.event()
    assert [row["t"] for row in event["rows"]] == [12, 13, 14]


@pytest.mark.parametrize(
    "last_id", ["another-run/12", "r1/9999", "r1/x", "r1/-1", "12", "r1/²", "r1/" + "9" * 5000]
)
async def test_a_last_id_that_is_not_ours_begins_anew(served: Dashboard, last_id: str) -> None:
    async with reading(served, last_id) as reader:
        _, event = await reader.event()
    assert len(event["rows"]) == 12


async def test_the_stream_ends_with_the_run(
    served: Dashboard, run: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY_S", 10 * GUARD_S)  # the end does not wait for its turn
    async with reading(served) as reader:
        await reader.event()
        run.watch.update(run.merged, ended=True, ending="thresholds missed")
        _, event = await reader.event()
        assert (event["view"]["stage"], event["view"]["ending"]) == ("ended", "thresholds missed")
        assert b"0\r\n\r\n" in await reader_end(reader)


async def reader_end(reader: Reader) -> bytes:
    """What is left of the answer: the last chunk of none."""
    with trio.fail_after(GUARD_S):
        while b"0\r\n\r\n" not in reader.data:
            part = await reader.stream.receive_some()
            if not part:
                break
            reader.data += part
    return reader.data


async def test_readers_are_counted_bounded_and_forgotten(
    served: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READERS_MAX", 2)
    async with reading(served) as one, reading(served) as two:
        await one.event()
        await two.event()
        assert served.readers == 2
        assert (await ask(served, "events"))[0] == 503
    await until(lambda: served.readers == 0)


async def test_a_reader_that_reads_nothing_is_dropped(run: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_S", 1.0)
    monkeypatch.setattr(module, "EVERY_S", 0.01)
    run.tick(200)
    async with open_dashboard(run.watch) as dashboard:
        port, host, _ = address(dashboard)
        sock = socket.socket()
        with sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", port))
            sock.sendall(f"GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            await until(lambda: dashboard.readers == 1)
            with trio.fail_after(GUARD_S):
                while dashboard.readers:
                    run.watch._rows = {
                        t: (run.watch.version + 1, row) for t, (_, row) in run.watch._rows.items()
                    }
                    run.watch.update(run.merged)
                    await trio.sleep(0.01)
    assert run.watch.version > 20


# --- who may what ----------------------------------------------------------------------------------------------------


async def test_a_strangers_name_for_this_machine_is_refused(served: Dashboard) -> None:
    for host in ("evil.example", "evil.example:80", ""):
        assert (await ask(served, "state.json", Host=host))[0] == 403, host
    assert (await ask(served, "state.json", Host="localhost:1"))[0] == 200


async def test_a_stop_needs_the_pages_own_origin(served: Dashboard, run: MadeUp) -> None:
    origin = f"http://{address(served)[1]}"
    assert (await ask(served, "stop", "POST"))[0] == 403
    for wrong in ("http://evil.example", "null", origin + "0"):
        assert (await ask(served, "stop", "POST", Origin=wrong))[0] == 403, wrong
    assert run.watch.stop_reason is None

    assert (await ask(served, "stop", "POST", Origin=origin))[0] == 202

    with trio.fail_after(GUARD_S):
        assert await run.watch.wait_stop() == "asked for in the dashboard"


async def test_any_other_address_needs_the_token(run: MadeUp) -> None:
    run.tick()
    async with open_dashboard(run.watch, "0.0.0.0:0") as dashboard:
        _, _, base = address(dashboard)
        token = base.strip("/")
        assert len(token) == 32
        here = {"Host": "127.0.0.1"}
        for path in (
            "/",
            "/state.json",
            "/events",
            "/stop",
            f"/{token[:-1]}/state.json",
            f"/{token.upper()}x/",
        ):
            assert (await ask(dashboard, path=path, **here))[0] == 403, path
        assert (await ask(dashboard, path="/stop", method="POST", Origin="http://127.0.0.1", **here))[
            0
        ] == 403
        assert run.watch.stop_reason is None

        assert (await ask(dashboard, "state.json", **here))[0] == 200
        assert (await ask(dashboard, "state.json", Host="evil.example"))[0] == 403
        assert (await ask(dashboard, "stop", "POST", Origin="http://evil.example", **here))[0] == 403
        assert (await ask(dashboard, "stop", "POST", **here))[0] == 202
    async with open_dashboard(run.watch, "0.0.0.0:0") as other:
        assert address(other)[2] != base, "each has its own"


async def test_no_token_is_logged_or_shown(
    run: MadeUp, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_dashboard(run.watch, "0.0.0.0:0") as dashboard:
        await ask(dashboard, "state.json", Host="127.0.0.1")
        token = address(dashboard)[2].strip("/")

    said = capfd.readouterr()
    assert token not in caplog.text + said.out + said.err


# --- it holds nothing up ---------------------------------------------------------------------------------------------


async def test_an_open_tab_does_not_hold_the_end_up(run: MadeUp) -> None:
    assert module.server(0.25)[1].graceful_timeout == 0.25, "no longer than the grace"
    with trio.fail_after(GUARD_S):
        async with AsyncExitStack() as tabs:  # they are closed after the dashboard
            async with open_dashboard(run.watch) as dashboard:
                reader = await tabs.enter_async_context(reading(dashboard))
                await reader.event()
                await tabs.enter_async_context(await connect(dashboard))  # and one that asks for nothing
            assert dashboard.readers == 0


async def test_an_error_of_the_run_is_not_wrapped(run: MadeUp) -> None:
    with pytest.raises(LookupError, match="of the run"):
        async with open_dashboard(run.watch):
            raise LookupError("of the run")


PROGRAM = """
import sys, trio
from loadsim.live.dashboard import open_dashboard
from loadsim.live.view import Watch
async def main():
    async with open_dashboard(Watch("r", "n")) as dashboard:
        print(dashboard.url, flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)
trio.run(main)
"""


async def test_an_open_tab_does_not_keep_the_process_alive() -> None:
    process = subprocess.Popen(  # noqa: ASYNC220  # it is waited for in a thread
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        host = process.stdout.readline().removeprefix("http://").strip().strip("/")
        with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2]))) as tab:
            tab.sendall(f"GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            found = b""
            while b"event: delta" not in found:
                part = tab.recv(65536)
                assert part, found
                found += part
            process.stdin.write("end\n")
            process.stdin.flush()
            assert await trio.to_thread.run_sync(process.wait, GUARD_S) == 0


async def test_the_last_view_arrives_though_the_end_does_not_wait_for_it(
    run: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_S", GUARD_S)  # a slow machine has its last word too
    run.tick()
    async with AsyncExitStack() as stack:
        async with open_dashboard(run.watch) as dashboard:
            reader = await stack.enter_async_context(reading(dashboard))
            await reader.event()
            run.watch.update(run.merged, ended=True, ending="over")
        assert b'"stage":"ended"' in await reader.rest()


async def test_a_command_says_the_address_once(run: MadeUp) -> None:
    said: list[str] = []
    async with announced(run.watch, None, said.append):
        assert said == []
    async with announced(run.watch, "0.0.0.0", said.append):
        (line,) = said
        assert line.startswith("dashboard http://0.0.0.0:")
        assert len(line.rstrip("/").rpartition("/")[2]) == 32


async def test_an_address_that_is_taken(served: Dashboard, run: MadeUp) -> None:
    with pytest.raises(OSError, match="in use"):
        async with open_dashboard(run.watch, f"127.0.0.1:{address(served)[0]}"):
            pass


async def test_without_the_extra_it_is_one_line(run: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: object, **more: object) -> object:
        if name.startswith("hypercorn"):
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"potrio\[dashboard\]"):
        async with open_dashboard(run.watch):
            pass


async def test_a_server_that_fails_does_not_end_the_run(
    run: MadeUp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = module.server

    def broken(grace_s: float):
        _, config = real(grace_s)

        async def serve(app, config, *, shutdown_trigger, task_status) -> None:
            task_status.started([])
            await trio.sleep(0.05)
            raise RuntimeError("of the server")

        return serve, config

    monkeypatch.setattr(module, "server", broken)
    async with open_dashboard(run.watch):
        await trio.sleep(0.2)
        run.tick()
    assert "the run goes on without it: RuntimeError" in caplog.text
