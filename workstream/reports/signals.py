"""How well the senders of signals are known."""

from __future__ import annotations

from flowledger.clients.identity import Status
from flowledger.tenancy.models import Organization
from workstream.reports.tables import Report, percent
from workstream.reports.views import IdentityStatus

NOT_ASKED = ""


def identity_status(*, org: Organization) -> Report:
    """Signals per status of identity resolution, with their share; every status has a row."""
    counts = ("signals", "with_contact", "with_client")
    found = {row["status"]: row for row in IdentityStatus.objects.for_org(org).values("status", *counts)}
    statuses = [*(status.value for status in Status), NOT_ASKED]
    rows = [found.get(status, {"status": status, **dict.fromkeys(counts, 0)}) for status in statuses]
    total = sum(row["signals"] for row in rows)
    for row in rows:
        row["share_percent"] = percent(row["signals"], total)
    return Report(rows=rows, totals={name: sum(row[name] for row in rows) for name in counts})
