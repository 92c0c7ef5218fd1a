"""`manage.py clusters backfill`: clusters of signals from before there were clusters, or under another rule."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils.timezone import now

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope
from workstream import services

ACTOR = Actor.system("manage.py clusters")


class Command(BaseCommand):
    help = "Put older signals that are in no cluster into one with those that are the same buying event."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="backfill")
        backfill = verbs.add_parser("backfill", help="cluster the signals that are in no cluster; may be run again")
        backfill.add_argument("--org", type=_key, metavar="ID", help="of this organisation only")
        backfill.add_argument("--json", action="store_true", help="the result as one JSON object")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        with system_scope("clusters command"):
            rows = Organization.objects.order_by("pk")
            orgs = list(rows if options["org"] is None else rows.filter(pk=options["org"]))
        if not orgs and options["org"] is not None:
            raise CommandError(f"There is no organisation {options['org']}.")
        looked_at, clustered, failed = 0, 0, []
        for org in orgs:
            try:
                signals, changed = _backfill(org)
            except DatabaseError as error:
                # One organisation's trouble must not keep the others waiting.
                failed.append(org.pk)
                self.stderr.write(f"Organisation {org.pk}: {str(error).strip()}")
            else:
                looked_at, clustered = looked_at + signals, clustered + changed
        if options["json"]:
            result = {"organizations": len(orgs), "signals": looked_at, "clustered": clustered, "failed": failed}
            self.stdout.write(json.dumps(result, indent=2))
        else:
            self.stdout.write(f"{looked_at:,} signals were compared; {clustered:,} are in another cluster now.")
        if failed:
            raise CommandError("Some organisations failed; run it again, it goes on where it stopped.")


def _backfill(org: Organization) -> tuple[int, int]:
    """Slice by slice, each in a transaction of its own; how many signals were looked at, and how many changed."""
    looked_at, clustered = 0, 0
    after: int | None = 0
    while after is not None:
        done = services.cluster_older_signals(org=org, after_id=after, actor=ACTOR, at=now())
        looked_at, clustered, after = looked_at + done.signals, clustered + done.clustered, done.last_id
    return looked_at, clustered


def _key(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise ArgumentTypeError(f"'{text}' is no id; write a whole number.")
    return int(text)
