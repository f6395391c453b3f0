"""Schedulers and workers of Dask as processes, started by the commands that the documentation names; over TLS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import trustme

from loadsim.engines.dask_cluster import Tls

DASK = (sys.executable, "-m", "dask")


def certificates(folder: Path) -> Tls:
    """A throw-away authority, and one certificate for all roles."""
    folder.mkdir(exist_ok=True)
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    tls = Tls(*(str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem")))
    authority.cert_pem.write_to_path(tls.ca)
    issued.private_key_pem.write_to_path(tls.key)
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(tls.cert, append=number > 0)
    return tls


def running(*words: str) -> list[int]:
    """Processes whose command line has all these words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z" and all(word in line for word in words):
                found.append(int(entry.name))
    return found


class Place:
    """A scheduler and a command for workers, as anybody's: their settings are Dask's own."""

    def __init__(self, folder: Path, tls: Tls, workers: int, **settings: str) -> None:
        self.tls = tls
        self.file = folder / "scheduler.json"
        self.log = (folder / "log.txt").open("wb")
        security = f"--protocol tls --tls-ca-file {tls.ca} --tls-cert {tls.cert} --tls-key {tls.key}"
        environment = {**os.environ, **settings}
        self.scheduler = self._start(
            f"scheduler --host 127.0.0.1 --port 0 --no-dashboard --dashboard-address 127.0.0.1:0"
            f" --scheduler-file {self.file} {security}",
            environment,
        )
        self.workers = self._start(
            f"worker --scheduler-file {self.file} --nworkers {workers} --nthreads 1 --memory-limit 0 --no-dashboard"
            f" --death-timeout 30 --host 127.0.0.1 --local-directory {folder} {security}",
            environment,
        )

    def _start(self, arguments: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*DASK, *arguments.split()],
            env=environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    @property
    def address(self) -> str:
        """Of the scheduler, once it is there."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                return str(json.loads(self.file.read_text())["address"])
            except (OSError, ValueError):
                time.sleep(0.02)
        raise TimeoutError("the scheduler did not start")

    def end(self) -> None:
        """Leave nothing, whatever state it is in: each of the two is a group of processes of its own."""
        for process in (self.workers, self.scheduler):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait(60)
        self.log.close()
