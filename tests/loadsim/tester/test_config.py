"""The seed's fields with the seed's defaults; what cannot be done is refused with the name of the field."""

from __future__ import annotations

import pytest

from loadsim.tester.config import STRESS, LoadTestConfig, Phase
from potrio.errors import ConfigError


def test_the_defaults() -> None:
    config = LoadTestConfig()

    assert (config.concurrent_clients, config.operations_per_client, config.operation_delay) == (5, 20, 1.0)
    assert (config.test_duration_minutes, config.use_persistent_connection) == (5, True)
    assert (config.include_trading_operations, config.stress_mode) == (False, False)
    assert LoadTestConfig(3, 10, 0.5, 1, False, True, True).stress_mode


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("concurrent_clients", (0, -1, 1.5, True, 1001)),
        ("operations_per_client", (0, 1_000_001)),
        ("operation_delay", (-1, 3601, float("nan"))),
        ("test_duration_minutes", (0, -1, 1441, float("nan"))),
        ("operation_timeout_s", (0, float("inf"))),
        ("phase_pause_s", (-1,)),
    ],
)
def test_what_cannot_be_is_refused(field: str, values: tuple[object, ...]) -> None:
    for value in values:
        with pytest.raises(ConfigError, match=field):
            LoadTestConfig(**{field: value})  # type: ignore[arg-type]


def test_the_whole_is_bounded_too() -> None:
    with pytest.raises(ConfigError, match="of all clients"):
        LoadTestConfig(concurrent_clients=1000, operations_per_client=1001)
    with pytest.raises(ConfigError, match="phases"):
        LoadTestConfig(stress_mode=True, phases=())
    with pytest.raises(ConfigError, match="phases"):
        LoadTestConfig(concurrent_clients=501, stress_mode=True)


def test_the_phases_are_data() -> None:
    shape = [(phase.name, phase.clients(6), phase.operation_delay, phase.max_s) for phase in STRESS]

    assert shape == [
        ("Ramp Up", 2, 0.1, 60),
        ("Peak Load", 6, 0.05, 60),
        ("Extreme Load", 12, 0.01, 60),
        ("Cool Down", 3, 0.5, 60),
    ]
    assert STRESS[0].clients(2) == 1, "no phase is without clients"
    for wrong in (
        ("", 1, 1, 1.0),
        ("x", 0, 1, 1.0),
        ("x", 1, 0, 1.0),
        ("x", 1, 1, -1.0),
        ("x", 1, 1, 1.0, 0.0),
    ):
        with pytest.raises(ConfigError, match="phases"):
            Phase(*wrong)  # type: ignore[arg-type]
