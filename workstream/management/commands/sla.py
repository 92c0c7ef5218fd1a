"""`manage.py sla sweep|recompute|backfill|explain`: the SLA clocks, for whoever runs the server."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from dataclasses import asdict
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, InterfaceError
from django.utils.timezone import now

from flowledger.errors import FlowLedgerError
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from workstream import services
from workstream.models import SlaRule
from workstream.models.sla import CLOCKED_MODELS
from workstream.services.sla_backfill import Started, start_missing_clocks
from workstream.services.sla_explain import ClockStory, explain
from workstream.services.sla_sweep import sweep

ACTOR = Actor.system("manage.py sla")


class Command(BaseCommand):
    help = (
        "Sweep the SLA clocks now, bring them up to date with their rules, start those that are missing, or say why "
        "those of an item stand so."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="sweep | recompute | backfill | explain")

        sweeping = verbs.add_parser("sweep", help="warn about what is due, and put it into breach, at once")
        sweeping.add_argument("--json", action="store_true", help="the result as one JSON object")

        recompute = verbs.add_parser("recompute", help="bring running clocks to the present version of their rules")
        recompute.add_argument("--org", type=_key, metavar="ID", help="of this organisation only")
        recompute.add_argument("--rule", type=_key, metavar="ID", help="of this rule only")
        recompute.add_argument("--json", action="store_true", help="the result as one JSON object")

        backfill = verbs.add_parser("backfill", help="start the clocks of open items that have none, and tell nobody")
        backfill.add_argument("--org", type=_key, metavar="ID", help="of this organisation only")
        backfill.add_argument("--json", action="store_true", help="the result as one JSON object")

        telling = verbs.add_parser("explain", help="since when each clock runs, what paused it, when it is due and why")
        telling.add_argument("item", type=_item, metavar="ITEM", help="for example candidate:17, pursuit:4, signal:112")
        telling.add_argument("--org", type=_key, metavar="ID", help="the organisation that must have it")
        telling.add_argument("--json", action="store_true", help="the same as one JSON object")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        run = {
            "sweep": self._sweep,
            "recompute": self._recompute,
            "backfill": self._backfill,
            "explain": self._explain,
        }
        try:
            run[verb](options)
        except FlowLedgerError as error:
            raise CommandError(error.message) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(f"The database refused: {str(error).strip()} Look at DATABASE_URL.") from error

    # --- sweep ---

    def _sweep(self, options: dict[str, Any]) -> None:
        result = sweep(at=now())
        if options["json"]:
            self._json(asdict(result))
        else:
            self.stdout.write(f"{result.warned:,} warned, {result.breached:,} breached.")
        for failure in result.failures:
            rule = "without a rule" if failure.rule_id is None else f"of rule {failure.rule_id}"
            self.stderr.write(
                f"{failure.clocks:,} clocks {rule} in organisation {failure.org_id} failed ({failure.step}): "
                f"{failure.error}"
            )
        if result.failures:
            raise CommandError("Some clocks could not be swept; the next sweep tries them again.")

    # --- recompute ---

    def _recompute(self, options: dict[str, Any]) -> None:
        chosen = {"org_id": options["org"], "pk": options["rule"]}
        with system_scope("SLA command"):
            rows = SlaRule.all_orgs.filter(**{name: key for name, key in chosen.items() if key is not None})
            rules = list(rows.order_by("org_id", "pk").values_list("org_id", "pk"))
            orgs = Organization.objects.in_bulk({org_id for org_id, _ in rules})
        if not rules:
            raise CommandError("There is no such rule.")
        clocks, unfinished = 0, 0
        for org_id, rule_id in rules:
            done = services.recompute_clocks(org=orgs[org_id], rule_id=rule_id, actor=ACTOR, at=now())
            clocks += done.clocks
            unfinished += not done.is_done
        if options["json"]:
            self._json({"rules": len(rules), "clocks": clocks, "unfinished_rules": unfinished})
            return
        self.stdout.write(f"{clocks:,} clocks of {len(rules):,} rules were brought up to date.")
        if unfinished:
            self.stdout.write(f"{unfinished:,} rules may have more; the workers go on with them.")

    # --- backfill ---

    def _backfill(self, options: dict[str, Any]) -> None:
        with system_scope("SLA command"):
            rows = Organization.objects.order_by("pk")
            orgs = list(rows if options["org"] is None else rows.filter(pk=options["org"]))
        if not orgs and options["org"] is not None:
            raise CommandError(f"There is no organisation {options['org']}.")
        total, failed = Started(), []
        for org in orgs:
            try:
                total += start_missing_clocks(org=org, at=now())
            except DatabaseError as error:
                # One organisation's trouble must not keep the others waiting.
                failed.append(org.pk)
                self.stderr.write(f"Organisation {org.pk}: {str(error).strip()}")
        if options["json"]:
            self._json({"organizations": len(orgs), **asdict(total), "failed": failed})
        elif total.items:
            self.stdout.write(
                f"{total.clocks:,} clocks were started on {total.items:,} items that had none; "
                f"{total.breaches:,} of them are overdue."
            )
        else:
            self.stdout.write("No open item is without its clocks.")
        if failed:
            raise CommandError("Some organisations failed; run it again, it goes on where it stopped.")

    # --- explain ---

    def _explain(self, options: dict[str, Any]) -> None:
        item_type, item_id = options["item"]
        org = _organization_of(item_type, item_id, options["org"])
        with org_scope(org):
            stories = explain(org=org, item_type=item_type, item_id=item_id, at=now())
        if options["json"]:
            self._json(
                {
                    "org_id": org.pk,
                    "item_type": item_type,
                    "item_id": item_id,
                    "clocks": [asdict(story) for story in stories],
                }
            )
            return
        if not stories:
            self.stdout.write(f"No clock runs or ran on {item_type} {item_id}.")
        for story in stories:
            self._story(story)

    def _story(self, story: ClockStory) -> None:
        rule = f", {story.rule}" if story.rule else ""
        self.stdout.write(f"Clock {story.clock_id}, {story.state}{rule}")
        for sentence in story.sentences:
            self.stdout.write(f"  {sentence}")

    def _json(self, value: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(value, indent=2, cls=DjangoJSONEncoder))


def _organization_of(item_type: str, item_id: int, org_id: int | None) -> Organization:
    """The organisation that has the item. Raises CommandError when none has, or another than the one named."""
    model: Any = apps.get_model(CLOCKED_MODELS[item_type])
    with system_scope("SLA command"):
        row = model.all_orgs.filter(pk=item_id).select_related("org").order_by("pk").first()
    if row is None or (org_id is not None and row.org_id != org_id):
        where = "" if org_id is None else f" in organisation {org_id}"
        raise CommandError(f"There is no {item_type} {item_id}{where}.")
    org: Organization = row.org
    return org


def _key(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise ArgumentTypeError(f"'{text}' is no id; write a whole number.")
    return int(text)


def _item(text: str) -> tuple[str, int]:
    """`candidate:17` as its two parts."""
    item_type, _, key = text.partition(":")
    if item_type not in CLOCKED_MODELS or not key:
        raise ArgumentTypeError(f"'{text}' is no item; write {', '.join(f'{name}:ID' for name in CLOCKED_MODELS)}.")
    return item_type, _key(key)
