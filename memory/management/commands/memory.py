"""`manage.py memory rewrite`: take what was redacted out of the database's files, and say what may still hold it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from memory.rewriting import Rewritten, rewrite_files


class Command(BaseCommand):
    help = "Rewrite the tables that redactions have touched, so that their files hold nothing of it any more."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="rewrite")
        rewrite = verbs.add_parser("rewrite", help="each table is locked while it is written; may be run again")
        rewrite.add_argument("--all", action="store_true", help="large tables as well: in a quiet hour")
        rewrite.add_argument("--json", action="store_true", help="the result as one JSON object")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        most = None if options["all"] else settings.MEMORY_REWRITE_MOST_BYTES
        done = rewrite_files(at=now(), most_bytes=most)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done), indent=2, default=str))
        else:
            self.stdout.write("\n".join(_sentences(done)))
        if done.waiting:
            raise CommandError(f"{done.waiting:,} redactions wait still; run it again.")


def _sentences(done: Rewritten) -> list[str]:
    if done.held_back_by:
        return [f"Nothing was rewritten: {done.held_back_by} may still read what was redacted. End them first."]
    if not (done.redactions or done.waiting):
        return ["No redaction waits for its files to be rewritten."]
    said = [f"{len(done.tables):,} tables were rewritten; {done.redactions:,} redactions are out of the files."]
    said += [f"{table}: {why}" for table, why in sorted(done.skipped.items())]
    return [
        *said,
        f"The write-ahead log from before {done.log_position} may still hold it until it is recycled, and its archive "
        "and every backup from before now until they are deleted: by your rules on "
        f"{done.backups_until:%Y-%m-%d} at the latest (MEMORY_BACKUP_DAYS)."
        if done.backups_until
        else "",
    ]
