"""`manage.py demo_org`: an invented company with data in every state and a login; what is there stays."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from flowledger.errors import FlowLedgerError
from workstream.demo.organization import LOGINS, PASSWORD, ensure_demo_organization


class Command(BaseCommand):
    help = "Found a demo organisation with realistic data and logins, and print the logins. Running it again keeps all."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--force", action="store_true", help="also in production, where its password is no secret")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION and not options["force"]:
            raise CommandError(
                "The demo organisation's password is published; it is not made in production. Use --force if you must."
            )
        started = time.monotonic()
        try:
            demo = ensure_demo_organization(at=timezone.now())
        except FlowLedgerError as error:
            raise CommandError(error.message) from error
        if demo.created:
            self.stdout.write(f"Demo organisation made in {time.monotonic() - started:.1f} s: {demo.org.name}")
        else:
            self.stdout.write(f"Demo organisation: {demo.org.name} (as you left it)")
        for login in LOGINS:
            self.stdout.write(f"  log in as {login.username:<14} password {PASSWORD}   {login.role.label}")
