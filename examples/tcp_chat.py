"""A chat server over TCP: one actor per connection, one topic for the room; a slow reader hurts nobody but itself.

Run it: ``python examples/tcp_chat.py`` (it connects three guests of its own, lets them talk, and ends).
"""

from __future__ import annotations

from functools import partial

import trio

from potrio.supervision import Context, Lagged, Topic, child, open_supervisor, ring, service, supervisor
from potrio.supervision.supervisor import Supervisor

ROOM: Topic[bytes] = Topic("room")


async def guest(ctx: Context[bytes], stream: trio.SocketStream, room: Topic[bytes]) -> None:
    """One connection: lines that come in go to the room, and what the room says goes out."""
    async with stream, room.subscribe(ring(64)) as lines, trio.open_nursery() as nursery:

        async def listen() -> None:
            buffer = b""
            async for chunk in stream:
                *complete, buffer = (buffer + chunk).split(b"\n")
                for line in complete:
                    room.publish(line + b"\n")
            nursery.cancel_scope.cancel()  # the guest has hung up

        nursery.start_soon(listen)
        ctx.ready()
        async for line in lines:
            await stream.send_all(b"(you missed some lines)\n" if isinstance(line, Lagged) else line)


async def accept(sup: Supervisor, room: Topic[bytes], stream: trio.SocketStream) -> None:
    """Give a new connection an actor of its own: temporary, because nobody can restart a TCP connection."""
    host, port, *_ = stream.socket.getpeername()
    ref = await sup.start_child(
        child(guest, stream, room, id=f"{host}:{port}", restart="temporary", shutdown=0)
    )
    await ref.join()


async def say_and_hear(port: int, name: str) -> int:
    """A guest of our own: say three things, hear nine."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await trio.sleep(0.1)  # until all have come in
        for number in range(3):
            await stream.send_all(f"{name}: line {number}\n".encode())
        heard = b""
        with trio.move_on_after(1):
            while heard.count(b"\n") < 9:
                heard += await stream.receive_some()
        return heard.count(b"\n")


async def main() -> None:
    """Serve on a free port; three guests talk to each other."""
    tree = supervisor(supervisor(id="guests", max_children=100), id="chat")
    async with open_supervisor(tree) as sup:
        guests = sup.supervisor("guests")
        listen = partial(trio.serve_tcp, partial(accept, guests, ROOM), 0, host="127.0.0.1")
        await sup.start_child(service(listen, id="listener"))
        listeners = sup.value("listener")
        assert isinstance(listeners, list)
        port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            for name in ("Ada", "Alan", "Grace"):

                async def visit(name: str = name) -> None:
                    print(f"{name} heard {await say_and_hear(port, name)} lines")

                nursery.start_soon(visit)


if __name__ == "__main__":
    trio.run(main)
