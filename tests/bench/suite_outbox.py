"""The outbox beside the queues that one could use instead, and beside what the database can do at most.

One run on one machine: durable PostgreSQL and Redis of its own, a database per system on the same server, the peers in
an environment made from `peers.lock`. Figures and how each is measured: the modules of `tests.bench.outbox`.
"""

from __future__ import annotations

import os
import subprocess
import sys

import django

from tests.bench.figures import Figures
from tests.bench.outbox.machine import ROOT, peers_python, running_machine


def run(figures: Figures, *, quick: bool, short: bool = False, only: str = "") -> None:
    python = peers_python()
    with running_machine() as machine:
        # This process records too, and wakes only where a measurement says so.
        os.environ.update(DJANGO_SETTINGS_MODULE="flowledger.settings", OUTBOX_WAKE="false", LOG_LEVEL="WARNING")
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
        django.setup()
        # What follows imports models.
        from tests.bench.outbox import program

        extent = program.TRIAL if quick else program.SHORT if short else program.Extent()
        program.run(figures, machine, python, extent, only=only)
