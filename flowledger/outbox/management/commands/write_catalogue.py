"""`manage.py write_catalogue [--check]`: docs/events.md from the declared events and handlers."""

from __future__ import annotations

from flowledger.outbox.documents import DocumentCommand, events_page


class Command(DocumentCommand):
    help = "Write docs/events.md from the event catalogue."
    page = "events.md"

    def text(self) -> str:
        return events_page()
