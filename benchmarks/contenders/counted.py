"""What the instruction counter watches: ticks from bytes, through potrio's protocol floor or msgspec alone.

Run with the project's own environment, under the counter. Arguments: ``potrio``, ``msgspec`` or ``nothing``,
and how many ticks; ``nothing`` only makes them, as the others do too.
"""

from __future__ import annotations

import sys

import msgspec

from benchmarks.decode import through_msgspec, through_potrio, ticks_of, wire_of

ticks = ticks_of(int(sys.argv[2]))
reads, array = wire_of(ticks), msgspec.json.encode(ticks)
match sys.argv[1]:
    case "potrio":
        assert len(through_potrio(reads)) == len(ticks)
    case "msgspec":
        assert len(through_msgspec(array)) == len(ticks)
    case "nothing":
        pass
    case other:
        sys.exit(f"no path named {other}")
