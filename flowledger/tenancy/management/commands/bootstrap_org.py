"""`manage.py bootstrap_org NAME --username U --password P --role ROLE`: an organisation with a member, idempotent."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Role
from flowledger.tenancy.services import bootstrap_organization


class Command(BaseCommand):
    help = "Create an organisation and a member of it (or bring them to this state) and print their ids as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="name of the organisation")
        parser.add_argument("--username", required=True)
        parser.add_argument("--password", required=True)
        parser.add_argument("--role", choices=Role.values, default=Role.ADMIN.value)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            org, user = bootstrap_organization(
                name=options["name"],
                username=options["username"],
                password=options["password"],
                role=Role(options["role"]),
            )
        except FlowLedgerError as error:
            raise CommandError(error.message) from error
        self.stdout.write(json.dumps({"org_id": org.pk, "user_id": user.pk}))
