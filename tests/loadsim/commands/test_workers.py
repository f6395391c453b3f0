"""`loadsim workers` prints text that can be piped on, and refuses what would let strangers run code."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from loadsim.commands.workers import workers
from potrio.errors import ConfigError

SECURE = ["--scheduler", "tls://s:8786", "--tls-ca", "ca.pem", "--tls-cert", "c.pem", "--tls-key", "k.pem"]


def run(*arguments: str):
    return CliRunner().invoke(workers, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scheduler"], "dask scheduler --protocol tls --port 8786"),
        (["ssh", "a", "b", "--per-host", "2"], "ssh -n -tt b "),
        (["slurm", "--nodes", "2"], "srun python -m dask worker tls://s:8786"),
        (["k8s", "--image", "i", "--pods", "3"], "replicas: 3"),
    ],
)
def test_each_way_is_printed(arguments, words):
    done = run(*arguments, *SECURE)

    assert (done.exit_code, done.stderr) == (0, "")
    assert words in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scheduler", "tcp://10.0.0.7:8786"], "run code on the workers"),
        (["--scheduler", "tls://10.0.0.7:8786"], "needs certificates"),
        (["--scheduler", "tls://10.0.0.7:8786", "--tls-ca", "ca.pem"], "needs all of"),
    ],
)
def test_what_is_not_secure_is_refused(arguments, words):
    done = run("slurm", *arguments)

    assert isinstance(done.exception, ConfigError)
    assert words in str(done.exception)


def test_unless_it_is_wanted():
    assert run("slurm", "--scheduler", "tcp://10.0.0.7:8786", "--insecure-engine").exit_code == 0
