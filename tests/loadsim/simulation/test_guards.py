"""In a simulation nobody asks the real world."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import random
import time
import weakref

import pytest

from loadsim.simulation.guards import FORBIDDEN, RealWorld, elders_set_aside, guarded


@pytest.mark.parametrize(("module", "name"), FORBIDDEN)
def test_real_time_chance_sockets_and_threads_raise(module, name):
    owner = importlib.import_module(module)
    real = getattr(owner, name)
    with guarded(random.Random(1)), pytest.raises(RealWorld, match=name):
        getattr(owner, name)()
    assert getattr(owner, name) is real


def test_a_log_record_may_have_its_time():
    with guarded(random.Random(1)):
        assert logging.makeLogRecord({}).created > 0


def test_libraries_that_need_chance_get_the_seeds():
    from wsproto.utilities import generate_nonce

    nonces = []
    for _ in range(2):
        with guarded(random.Random(7)):
            nonces.append(generate_nonce())
    assert nonces[0] == nonces[1]
    assert time.time() > 0
    assert os.urandom(1)


class Knot:
    """Part of a cycle."""

    def __init__(self) -> None:
        self.itself = self


def test_a_pass_looks_at_what_the_block_has_made_and_at_nothing_older(monkeypatch):
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 0)  # the tests themselves have set objects aside
    old = Knot()
    was_old = weakref.ref(old)
    gc.disable()
    try:
        with elders_set_aside():
            del old
            gc.collect()
            assert was_old() is not None
            young = Knot()
            was_young = weakref.ref(young)
            del young
        assert was_young() is None
        gc.collect()
        assert was_old() is None
    finally:
        gc.enable()


def test_what_others_have_set_aside_stays_there():
    gc.freeze()
    before = gc.get_freeze_count()
    with elders_set_aside():
        pass
    assert gc.get_freeze_count() >= before > 0
