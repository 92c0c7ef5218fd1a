"""`manage.py import_history DIR --org ID`: load a CRM's export with its historic times."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import system_scope
from workstream.history import DEFAULT_MAPPING, ExportRefused, HistoryReport, import_history, load_mapping
from workstream.history.reading import Export


class Command(BaseCommand):
    help = (
        "Load a CRM's export (accounts, products, team, opportunities as CSV) into an organisation, with its historic "
        "times and without emailing anybody. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", type=Path, help="directory with the export's files")
        parser.add_argument("--org", type=int, required=True, metavar="ID", help="id of the organisation")
        parser.add_argument(
            "--mapping",
            type=Path,
            default=DEFAULT_MAPPING,
            metavar="FILE",
            help=f"which column means what, as TOML (default: {DEFAULT_MAPPING.name} of the application)",
        )
        parser.add_argument("--quiet", action="store_true", help="no progress bar and no report, only errors")

    def handle(self, *args: Any, **options: Any) -> None:
        quiet: bool = options["quiet"]
        try:
            org = _organization(options["org"])
            export = Export(options["directory"], load_mapping(options["mapping"]), HistoryReport())
            export.check()
            with tqdm(
                total=export.opportunity_lines(),
                desc=org.name,
                unit="opportunity",
                file=sys.stderr,
                disable=quiet or not sys.stderr.isatty(),
            ) as bar:
                report = import_history(
                    export=export,
                    org=org,
                    actor=Actor.importer(),
                    at=timezone.now(),
                    progressed=lambda lines: bar.update(lines),
                )
        except FlowLedgerError as error:
            raise CommandError(error.message) from error
        if not quiet:
            for line in report.lines():
                self.stdout.write(line)


def _organization(org_id: int) -> Organization:
    with system_scope("choose an organisation for an import"):
        org = Organization.objects.filter(pk=org_id).first()
        known = [] if org else list(Organization.objects.order_by("pk").values_list("pk", "name")[:20])
    if org is None:
        choices = "; ".join(f"{pk}: {name}" for pk, name in known) or "none, run bootstrap_org first"
        raise ExportRefused(f"There is no organisation {org_id}. There are: {choices}.")
    return org
