"""The commands that are printed are ones that shells, Dask and Kubernetes read, with the settings that load needs."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
import yaml

from loadsim.engines.dask_cluster import Tls
from loadsim.engines.dask_commands import (
    Workers,
    kubernetes_manifest,
    scheduler_command,
    slurm_script,
    ssh_lines,
    variables,
)

TLS = Tls("/certs/ca.pem", "/certs/a cert.pem", "/certs/key.pem")
SOME = Workers(scheduler="tls://sched.example:8786", tls=TLS, per_host=4, python=sys.executable)


def test_settings_are_read_by_dask_from_these_variables():
    import dask

    for role in ("scheduler", "worker"):
        found = dask.config.collect_env(variables(role))
        for name, value in variables(role).items():
            path = name.removeprefix("DASK_").lower().replace("__", ".")
            assert str(dask.config.get(path, config=found)) == value


def test_the_scheduler_does_not_run_a_dead_shard_again():
    text = scheduler_command(SOME)

    assert "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0 " in text
    assert "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING=False " in text
    assert "--protocol tls --port 8786 --no-dashboard" in text


@pytest.mark.parametrize("role", ["scheduler", "worker"])
def test_dask_knows_every_option(role):
    text = scheduler_command(SOME) if role == "scheduler" else slurm_script(SOME, 1, 1).splitlines()[-1]
    told = subprocess.run(
        [sys.executable, "-m", "dask", role, "--help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    options = [word for word in shlex.split(text) if word.startswith("--")]

    assert len(options) >= 6
    for option in options:
        known = option in told or option.replace("--no-", "/ --no-") in told
        assert known, (option, told)


def test_a_line_for_each_host_survives_two_shells():
    text = ssh_lines(SOME, ["one", "user@two"])
    lines = text.splitlines()
    told = [shlex.split(line) for line in lines[:-1]]

    assert [words[:4] for words in told] == [["ssh", "-n", "-tt", host] for host in ("one", "user@two")]
    assert lines[-1] == "wait"
    inner = shlex.split(shlex.split(lines[0])[4])
    assert TLS.cert in inner
    assert inner[inner.index("--nworkers") + 1] == "4"


def test_the_script_for_slurm_is_one():
    text = slurm_script(SOME, 3, 90)
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False, timeout=10)

    assert (done.returncode, done.stderr) == (0, "")
    assert {"#SBATCH --nodes=3", "#SBATCH --time=90", "#SBATCH --cpus-per-task=4"} <= set(text.splitlines())


@pytest.mark.parametrize("tls", [TLS, None])
def test_the_manifest_is_one(tls):
    plain = "tls://sched.example:8786" if tls else "tcp://127.0.0.1:8786"
    some = Workers(scheduler=plain, tls=tls, per_host=2)
    document = yaml.safe_load(kubernetes_manifest(some, "example/load:1", 5))
    [container] = document["spec"]["template"]["spec"]["containers"]

    assert document["spec"]["replicas"] == 5
    assert container["image"] == "example/load:1"
    assert container["command"][:5] == ["python", "-m", "dask", "worker", plain]
    assert {each["name"]: each["value"] for each in container["env"]} == variables("worker")
    mounts = [each["mountPath"] for each in container.get("volumeMounts", [])]
    assert (
        all(word.startswith(mounts[0]) for word in container["command"] if word.endswith(".pem"))
        if tls
        else mounts == []
    )
