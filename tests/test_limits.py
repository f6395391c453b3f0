"""Limits are positive, documented, and stand in the relations the code relies on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from potrio import limits

NAMES = [name for name in vars(limits) if name.isupper()]


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_is_a_positive_number(name: str) -> None:
    value = getattr(limits, name)

    assert isinstance(value, int | float)
    assert 0 < value < float("inf")


def test_every_group_of_limits_has_its_reason_beside_it() -> None:
    body = ast.parse(Path(limits.__file__).read_text("utf-8")).body
    groups: list[tuple[list[int], list[str]]] = []
    lines: list[int] = []
    names: list[str] = []
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if lines and node.lineno > lines[-1] + 1:
                groups.append((lines, names))
                lines, names = [], []
            lines.append(node.end_lineno or node.lineno)
            names.append(node.target.id)
        elif lines and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines, names = [], []  # documented
    if lines:
        groups.append((lines, names))
    undocumented = [names for _, names in groups]

    assert all(name.startswith(("ATTACHMENTS_", "JSON_")) for names in undocumented for name in names), (
        undocumented
    )


def test_a_client_takes_more_than_a_server_announces() -> None:
    assert limits.CLIENT_MESSAGE_MAX > limits.SERVER_MESSAGE_MAX


def test_a_read_fits_into_a_message() -> None:
    assert limits.READ_MAX < limits.SERVER_MESSAGE_MAX


def test_a_server_waits_longer_for_authentication_than_a_client_for_all_of_it() -> None:
    """Some clients are silent for two seconds first, and give up after ten: the server must not be the first."""
    assert limits.SERVER_AUTH_TIMEOUT > limits.HANDSHAKE_TIMEOUT + 2


def test_ps_comes_many_times_before_the_venue_gives_up() -> None:
    assert limits.PS_INTERVAL * 3 < limits.PS_DEADLINE


def test_backoff_is_in_order() -> None:
    assert limits.RECONNECT_BASE < limits.RECONNECT_CAP <= limits.RECONNECT_STABLE
