"""How schedulers and workers of Dask are started for load: command lines, a batch script, a manifest; text only.

Nothing here starts anything: deployment is the business of those who own the machines (``loadsim.md`` 2.3, rule 6).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

import msgspec

from loadsim.engines.dask_cluster import SETTINGS, Tls

__all__ = ["Workers", "kubernetes_manifest", "scheduler_command", "slurm_script", "ssh_lines"]

SECRET_FOLDER = "/etc/loadsim-tls"
MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: loadsim-workers
spec:
  replicas: {pods}
  selector:
    matchLabels: {{app: loadsim-worker}}
  template:
    metadata:
      labels: {{app: loadsim-worker}}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
        - name: worker
          image: {image}
          command: {command}
          env: {variables}
"""
MANIFEST_TLS = """\
          volumeMounts:
            - {{name: tls, mountPath: {folder}, readOnly: true}}
      volumes:
        - name: tls
          secret: {{secretName: loadsim-tls}}
"""


class Workers(msgspec.Struct, frozen=True, kw_only=True):
    """What all the ways to start workers have in common.

    Attributes:
        scheduler: its address, checked.
        tls: paths of the PEM files as the workers see them.
        per_host: processes of each host, pod or node: one shard each.
        python: the interpreter there that has potrio with its extra ``dask``.
    """

    scheduler: str
    tls: Tls | None = None
    per_host: int = 1
    python: str = "python"


def variables(role: str) -> dict[str, str]:
    """Our settings as Dask reads them from the environment; ``role`` is scheduler or worker."""
    wanted = (
        ("distributed.scheduler.",) if role == "scheduler" else ("distributed.worker.", "distributed.admin.")
    )
    return {
        "DASK_" + name.upper().replace(".", "__").replace("-", "_"): str(value)
        for name, value in SETTINGS.items()
        if name.startswith(wanted)
    }


def scheduler_command(workers: Workers) -> str:
    """The scheduler's line, to be run where its address is."""
    protocol, _, place = workers.scheduler.partition("://")
    port = place.rpartition(":")[2] if ":" in place else "8786"
    words = [
        workers.python,
        "-m",
        "dask",
        "scheduler",
        "--protocol",
        protocol,
        "--port",
        port,
        "--no-dashboard",
    ]
    return line(variables("scheduler"), [*words, *security(workers.tls)])


def worker_words(workers: Workers) -> list[str]:
    """A worker's command: single threads, no limit of memory, no dashboard, and no life without a scheduler."""
    words = [workers.python, "-m", "dask", "worker", workers.scheduler]
    words += ["--nworkers", str(workers.per_host), "--nthreads", "1", "--memory-limit", "0"]
    return [*words, "--no-dashboard", "--death-timeout", "30", *security(workers.tls)]


def security(tls: Tls | None) -> list[str]:
    """The options for certificates."""
    return [] if tls is None else ["--tls-ca-file", tls.ca, "--tls-cert", tls.cert, "--tls-key", tls.key]


def line(environment: dict[str, str], words: Sequence[str]) -> str:
    """One line of shell."""
    return " ".join(
        [*(f"{name}={shlex.quote(value)}" for name, value in environment.items()), shlex.join(words)]
    )


def ssh_lines(workers: Workers, hosts: Sequence[str]) -> str:
    """A line for each host; a worker ends with its connection (``-tt``). Clients are descriptors: all there are."""
    there = f'ulimit -n "$(ulimit -Hn)"; exec env {line(variables("worker"), worker_words(workers))}'
    return "".join(f"ssh -n -tt {shlex.quote(host)} {shlex.quote(there)} &\n" for host in hosts) + "wait\n"


def slurm_script(workers: Workers, nodes: int, minutes: int) -> str:
    """A script for ``sbatch``."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables("worker").items())
    return (
        "#!/bin/bash\n#SBATCH --job-name=loadsim\n"
        f"#SBATCH --nodes={nodes}\n#SBATCH --ntasks-per-node=1\n#SBATCH --cpus-per-task={workers.per_host}\n"
        f"#SBATCH --time={minutes}\n"
        f'{exports}ulimit -n "$(ulimit -Hn)"\nsrun {shlex.join(worker_words(workers))}\n'
    )


def kubernetes_manifest(workers: Workers, image: str, pods: int) -> str:
    """A Deployment for ``kubectl apply``; with TLS it mounts the secret ``loadsim-tls`` (ca.pem, cert.pem, key.pem)."""
    if workers.tls is not None:
        inside = Tls(*(f"{SECRET_FOLDER}/{name}.pem" for name in ("ca", "cert", "key")))
        workers = msgspec.structs.replace(workers, tls=inside)
    environment = [{"name": name, "value": value} for name, value in variables("worker").items()]
    text = MANIFEST.format(
        pods=pods,
        image=json.dumps(image),
        command=json.dumps(worker_words(workers)),
        variables=json.dumps(environment),
    )
    return text if workers.tls is None else text + MANIFEST_TLS.format(folder=SECRET_FOLDER)
