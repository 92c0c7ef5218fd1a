"""Pages of the documentation that are made from the code, so that they cannot say anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from flowledger.outbox.events import EventType, catalogue
from flowledger.outbox.registry import EVERY_EVENT, handlers

EVENTS_HEAD = """\
# Work events

Written by `manage.py write_catalogue` from the code; do not edit. An event is recorded in the same transaction as the
change it tells of, its payload is checked against the schema below, and its name and meaning are for ever: new fields
get a default, a new meaning gets a new name. `GET /api/outbox/catalogue` answers the same with JSON schemas.

"Outside" handlers act beyond the database (email, notification) and let imported history pass.
"""


class DocumentCommand(BaseCommand):
    """Base of the commands that write one page; `--check` compares instead."""

    requires_system_checks = []
    page: str

    def text(self) -> str:
        """The whole page."""
        raise NotImplementedError

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is out of date")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.BASE_DIR) / "docs" / self.page
        text = self.text()
        if not options["check"]:
            path.write_text(text)
            self.stdout.write(f"Wrote docs/{self.page}.")
        elif not path.exists() or path.read_text() != text:
            command = type(self).__module__.rsplit(".", 1)[-1]
            raise CommandError(f"docs/{self.page} is out of date; run `manage.py {command}`.")


def events_page() -> str:
    """The catalogue as Markdown."""
    sections = [EVENTS_HEAD]
    for entry in catalogue():
        about = [f"## `{entry.name}`", "", " ".join(entry.doc.split()), "", *_fields(entry), "", _reactions(entry), ""]
        sections.append("\n".join(about))
    return "\n".join(sections).rstrip("\n") + "\n"


def _fields(entry: EventType) -> list[str]:
    schema = entry.schema()
    required = set(schema.get("required", ()))
    return [
        "| field | type |",
        "|---|---|",
        *(
            f"| `{name}` | {_type(field)}{'' if name in required else ', optional'} |"
            for name, field in schema.get("properties", {}).items()
        ),
    ]


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(part) for part in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[-1]
    named = str(field.get("type", "any JSON value"))
    return f"{named} ({field['format']})" if "format" in field else named


def _reactions(entry: EventType) -> str:
    item = f"Item: {entry.item}. " if entry.item else ""
    wanting = [each for each in handlers() if entry.name in each.event_names or EVERY_EVENT in each.event_names]
    if not wanting:
        return f"{item}No built-in handler."
    return (
        f"{item}Handled by "
        + ", ".join(f"`{each.name}`{' (outside)' if each.outside else ''}" for each in wanting)
        + "."
    )
