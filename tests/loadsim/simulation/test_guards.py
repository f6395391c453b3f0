"""In a simulation nobody asks the real world."""

from __future__ import annotations

import importlib
import logging
import os
import random
import time

import pytest

from loadsim.simulation.guards import FORBIDDEN, RealWorld, guarded


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
