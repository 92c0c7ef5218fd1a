"""A process of its own that reads one rule of one organisation and says whenever it sees another value."""

from __future__ import annotations

import sys
import time

import django


def main() -> None:
    """Arguments: the name of the database, the organisation, for how many seconds."""
    database, org_id, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    django.setup()
    from django.db import connections

    connections.databases["default"]["NAME"] = database
    from workstream.rules import UNTOUCHED_HOURS

    seen = None
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now = UNTOUCHED_HOURS.of(org_id)
        if now != seen:
            print(f"{time.time():.3f} {now}", flush=True)  # noqa: T201  the test reads it
            seen = now
        time.sleep(0.02)


if __name__ == "__main__":
    main()
