"""Two companies and their people with everything that can hang off them, for merges to move."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import connection

from flowledger.clients import services as clients
from flowledger.clients.models import Client, Contact, IdentityConflict, MergedRow, MergeRecord
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Membership, Organization, OrgModel, User
from flowledger.tenancy.scope import org_scope
from tests.workstream.factories import complete_checklist
from workstream import services
from workstream.models import Candidate, TodayVersion

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LATER = AT + timedelta(days=3)
CLERK = Actor.system("tests")

# What tells that a merge and its undo happened. Everything else has to be as it was before.
TELL_OF_THE_MERGE = {WorkEvent, MergeRecord, MergedRow}


@dataclass
class Side:
    """One company with one person."""

    client: Client
    contact: Contact
    candidates: list[Candidate]
    won: Any


def side(org: Organization, word: str, *, owner: User) -> Side:
    """A company known from what it sent: a won deal, one under way, one on hold, one fresh, and loose signals."""
    where: dict[str, Any] = {"org": org, "actor": CLERK, "at": AT}
    signals = [
        services.create_signal(
            **where,
            fields={
                "source_type": "web_form",
                "source_ref": f"{word}-{number}",
                "snippet": f"Our press number {number} stops twice a day",
                "contact_email": f"ann@{word}.example",
                "contact_phone": f"+49 30 {len(word)}23456{number % 2}",
                "contact_name": f"Ann {word.title()}",
                "company_name": f"{word.title()} Works",
                "company_domain": f"{word}.example",
            },
        ).signal
        for number in range(6)
    ]
    with org_scope(org):
        client = Client.objects.for_org(org).select_related("org").get(pk=signals[0].client_id)
        contact = Contact.objects.for_org(org).select_related("org").get(pk=signals[0].contact_id)
    candidates = []
    for number in range(4):
        candidate = services.create_candidate(
            **where, fields={"title": f"Press {number}", "owner": owner}, signal_ids=[signals[number].pk]
        )
        services.triage_candidate(**where, candidate_id=candidate.pk)
        candidates.append(candidate)
    services.hold_candidate(**where, candidate_id=candidates[0].pk, reason="Budget is decided in May")
    services.nurture_candidate(**where, candidate_id=candidates[1].pk)
    won = _won(where, candidates[2].pk)
    services.promote_candidate(**where, candidate_id=candidates[3].pk)
    for kind, row in (("client", client), ("contact", contact), ("candidate", candidates[0])):
        on: dict[str, Any] = {**where, "item_type": kind, "item_id": row.pk}
        services.log_activity(**on, kind="call", summary="Spoke with them", direction="outbound")
        services.create_task(**on, title="Call back")
        services.link_item(**on, link_type="url", target_ref=f"https://{word}.example/offer")
    for title in ("Contract", "Kickoff"):
        clients.create_onboarding_task(**where, client_id=client.pk, fields={"title": title})
    drain_all()
    return Side(client=client, contact=contact, candidates=candidates, won=won)


def _won(where: dict[str, Any], candidate_id: int) -> Any:
    pursuit = services.promote_candidate(**where, candidate_id=candidate_id).pursuit
    services.ensure_first_proposal(**where, pursuit_id=pursuit.pk)
    for stage in ("pink", "red", "submit", "won"):
        if stage in {"submit", "won"}:
            complete_checklist(pursuit, "pink" if stage == "submit" else "red")
        services.move_pursuit(**where, pursuit_id=pursuit.pk, stage=stage, reason="They said so")
        drain_all()
    return pursuit


def two_sides(org: Organization) -> tuple[Side, Side]:
    """Harbour Works and Quayside Works, the same people's machines."""
    with org_scope(org):
        owner = User.objects.create(username="olga", email="olga@home.example")
        Membership.objects.for_org(org).create(org=org, user=owner)
    return side(org, "harbour", owner=owner), side(org, "quayside", owner=owner)


def conflict(org: Organization, first: Any, second: Any, *, kind: str = "suggestion", **more: Any) -> IdentityConflict:
    """A pair to be decided."""
    low, high = sorted((first, second), key=lambda row: row.pk)
    name = first._meta.model_name
    with org_scope(org):
        pair: IdentityConflict = IdentityConflict.objects.for_org(org).create(
            org=org,
            kind=kind,
            score="0.75",
            explanation={"rules": []},
            first_seen=AT,
            last_seen=AT,
            **{name: low, f"other_{name}": high},
            **more,
        )
    return pair


def contents(org: Organization, *, ignoring: dict[type[Any], tuple[str, ...]] | None = None) -> dict[str, str]:
    """A hash over all columns of all rows, by table, of every tenant table; `ignoring` names columns left out."""
    looks = []
    for model in apps.get_models():
        meta = model._meta
        if not issubclass(model, OrgModel) or not meta.managed or model in TELL_OF_THE_MERGE:
            continue
        without = ", ".join(f"'{name}'" for name in (ignoring or {}).get(model, ()))
        looks.append(
            f"SELECT '{meta.db_table}', count(*), "
            f"md5(coalesce(string_agg((to_jsonb(t) - ARRAY[{without}]::text[])::text, '|' ORDER BY t.id), '')) "
            f"FROM {meta.db_table} t WHERE t.org_id = {org.pk}"
        )
    with org_scope(org), connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        return {table: f"{count} rows, {digest}" for table, count, digest in cursor.fetchall()}


def moved_tables(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The tables that are not as they were."""
    return {table for table in before.keys() | after.keys() if before.get(table) != after.get(table)}


def rows_in(found: dict[str, str], table: str) -> int:
    """How many rows a table had."""
    return int(found[table].split()[0])


# The panel is computed anew, and counts how often it was: its rows are the same but for their versions.
PANEL_VERSIONS: dict[type[Any], tuple[str, ...]] = {
    TodayVersion: ("version", "row_version", "updated_at"),
    apps.get_model("workstream.TodayItem"): ("row_version", "updated_at"),
}
