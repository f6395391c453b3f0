"""Options for dask fit together, and are refused where another engine would ignore them."""

from __future__ import annotations

import pytest

from loadsim.commands.dask_options import engine_options
from loadsim.commands.playing import make_options
from loadsim.engines.dask_cluster import Tls
from potrio.errors import ConfigError

FILES = {"tls_ca": "ca.pem", "tls_cert": "c.pem", "tls_key": "k.pem"}


def test_a_cluster_here_has_a_worker_for_each_shard():
    assert engine_options("dask", 3) == {
        "scheduler": None,
        "workers": 3,
        "tls": None,
        "insecure_engine": False,
        "on_shard_loss": "invalidate",
    }


def test_a_scheduler_elsewhere():
    found = engine_options("dask", 3, scheduler="tls://s:8786", on_shard_loss="abort", **FILES)

    assert (found["scheduler"], found["tls"]) == ("tls://s:8786", Tls("ca.pem", "c.pem", "k.pem"))
    assert found["on_shard_loss"] == "abort"


@pytest.mark.parametrize(
    ("engine", "options", "words"),
    [
        ("process", {"scheduler": "tls://s:8786"}, "must be dask"),
        ("inline", {"on_shard_loss": "abort"}, "must be dask"),
        ("dask", {"scheduler": "tcp://10.0.0.7:8786"}, "run code on the workers"),
        ("dask", {"tls_ca": "ca.pem"}, "needs all of"),
    ],
)
def test_what_does_not_fit_is_refused(engine, options, words):
    with pytest.raises(ConfigError, match=words):
        engine_options(engine, 2, **options)


def test_they_reach_the_run():
    found = make_options(engine="dask", procs=3, target=None, allow_hosts=None, allow_degraded=False, **FILES)

    assert found.shards == found.engine_options["workers"] == 3
    assert found.engine_options["tls"] == Tls("ca.pem", "c.pem", "k.pem")
