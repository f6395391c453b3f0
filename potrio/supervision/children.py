"""The ordered table of one supervisor's children (pure).

Order is start order; it decides who is stopped and started before whom, and what "later siblings" are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Literal, TypeVar

from potrio.actor_errors import DuplicateChild
from potrio.supervision.child_spec import ChildSpec

__all__ = ["ChildTable", "Row", "Status", "Want"]

C = TypeVar("C")
R = TypeVar("R")

Status = Literal["down", "starting", "up", "stopping"]
Want = Literal["up", "rest", "end"]
"""What the supervisor wants of a child: to run, to stop and be started again, or to end for good."""


class Row(Generic[C, R]):
    """One child: what is known of it and what is wanted of it. ``cell`` and ``region`` belong to the engine.

    Attributes:
        order: grows with each child added; never reused.
        dynamic: added while the supervisor ran; such children stop in parallel.
        first: it has never been ready; a crash is then a failed start.
        attempt: number of the last backoff delay; 0 before the first.
        incarnation: number of the current or last incarnation, from 1; it also names the events of that incarnation.
    """

    __slots__ = (
        "alone",
        "attempt",
        "cell",
        "dynamic",
        "first",
        "incarnation",
        "order",
        "region",
        "spec",
        "status",
        "want",
    )

    def __init__(self, spec: ChildSpec[Any], cell: C, *, order: int, dynamic: bool) -> None:
        self.spec = spec
        self.cell = cell
        self.order = order
        self.dynamic = dynamic
        self.status: Status = "down"
        self.want: Want = "up"
        self.alone = False
        self.first = True
        self.attempt = 0
        self.incarnation = 0
        self.region: R | None = None

    @property
    def id(self) -> str:
        """Its name among its siblings."""
        return self.spec.id

    @property
    def alive(self) -> bool:
        """Whether a task of it runs."""
        return self.status != "down"

    def __repr__(self) -> str:
        return f"<child {self.id} #{self.incarnation} {self.status}, wanted {self.want}>"


class ChildTable(Generic[C, R]):
    """Children by name, in start order."""

    __slots__ = ("_order", "_rows", "significant")

    def __init__(self) -> None:
        self._rows: dict[str, Row[C, R]] = {}
        self._order = 0
        self.significant = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row[C, R]]:
        return iter(self._rows.values())

    def __reversed__(self) -> Iterator[Row[C, R]]:
        return reversed(self._rows.values())

    def get(self, id: str) -> Row[C, R] | None:
        """The child of that name, or None."""
        return self._rows.get(id)

    def check_free(self, spec: ChildSpec[Any]) -> None:
        """Make sure that a name can be given.

        Raises:
            DuplicateChild: it is taken.
        """
        if spec.id in self._rows:
            raise DuplicateChild(spec.id, "a child of this id is there already")

    def add(self, spec: ChildSpec[Any], cell: C, *, dynamic: bool) -> Row[C, R]:
        """Append a child.

        Raises:
            DuplicateChild: the name is taken.
        """
        self.check_free(spec)
        self._order += 1
        row: Row[C, R] = Row(spec, cell, order=self._order, dynamic=dynamic)
        self._rows[spec.id] = row
        self.significant += spec.significant
        return row

    def remove(self, row: Row[C, R]) -> None:
        """Take a child out; its name is free from then on."""
        assert self._rows.get(row.id) is row, "only a child of this table can be taken out"
        del self._rows[row.id]
        self.significant -= row.spec.significant

    def after(self, row: Row[C, R]) -> list[Row[C, R]]:
        """The children that were started after this one, in order."""
        return [other for other in self._rows.values() if other.order > row.order]
