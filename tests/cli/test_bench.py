"""`potrio bench` hands its arguments to the benchmarks of the checkout, and says so where there are none."""

from __future__ import annotations

import json

import pytest

from potrio.cli import bench
from potrio.cli.main import run


def test_arguments_and_output_are_those_of_the_benchmarks(capfd):
    assert run(["bench", "decode", "--scale", "0.002", "--rounds", "1", "--json"]) == 0

    found = json.loads(capfd.readouterr().out)
    assert [each["id"] for each in found["budgets"]] == ["B2a", "B2b"]


def test_an_unknown_benchmark_is_wrong_input(capfd):
    assert run(["bench", "nonesuch"]) == 2

    assert "no benchmark named nonesuch" in capfd.readouterr().err


def test_help_names_the_benchmarks(capfd):
    assert run(["bench", "--help"]) == 0

    assert "decode" in capfd.readouterr().out


def test_without_a_checkout_it_says_where_they_are(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "site" / "potrio" / "cli" / "bench.py"))

    assert run(["bench"]) == 2
    assert "clone it" in capfd.readouterr().err


@pytest.mark.parametrize("folder", ["benchmarks", "potrio"])
def test_the_checkout_is_the_one_this_potrio_is_in(folder):
    assert (bench.checkout() / folder / "__init__.py").is_file()
