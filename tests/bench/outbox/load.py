"""A steady background load: `python -m tests.bench.outbox.load RATE ORG…` records events until it is ended.

Each transaction is one organisation's and records up to a hundredth of a second's events in one statement, and nudges
as every transaction does.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import cycle

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowledger.settings")
django.setup()

from flowledger.outbox import sql  # noqa: E402
from flowledger.outbox.wake import wake  # noqa: E402
from flowledger.tenancy.scope import org_scope  # noqa: E402
from tests.bench.outbox.peers import load  # noqa: E402
from tests.bench.outbox.producing import new_event  # noqa: E402
from tests.bench.outbox.subscriptions import Worked  # noqa: E402

SLOT_SECONDS = 0.01
# The three writes update an account that is there.
ACCOUNTS = 100_000


def main(rate: float, org_ids: list[int]) -> None:
    written = 0
    began = time.monotonic()
    for org_id in cycle(org_ids):
        due = int((time.monotonic() - began) * rate) - written
        if due > 0:
            with org_scope(org_id):
                numbers = [1 + (written + place) % ACCOUNTS for place in range(due)]
                sql.insert_events([new_event(org_id, Worked(**load.payload(number))) for number in numbers])
                wake()
            written += due
        time.sleep(SLOT_SECONDS)


if __name__ == "__main__":
    main(float(sys.argv[1]), [int(each) for each in sys.argv[2:]])
