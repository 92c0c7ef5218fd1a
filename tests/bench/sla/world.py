"""A hundred organisations of candidates, pursuits, stays, clocks and breaches that fit each other, made in SQL.

One organisation has a fifth of everything, the others share the rest alike. Half of the candidates are open, three in
ten became pursuits, of which two in five are open. Every open item is watched by its touch clock, new candidates by
their triage, open pursuits by a due date and by proposal or response: about as many running clocks as candidates. None
falls due within a day of the building, and the Today rows are computed from all this by the application itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from workstream.services.today import rebuild_today
from workstream.sla_rules import seed_default_rules

LARGEST_SHARE = 0.2
OWNERS = 20


@dataclass(frozen=True)
class Size:
    """How much there is in all organisations together."""

    candidates: int
    pursuits: int
    organizations: int

    def of(self, place: int) -> tuple[int, int]:
        """Candidates and pursuits of one organisation; the first is the largest."""
        share = LARGEST_SHARE if place == 0 else (1 - LARGEST_SHARE) / (self.organizations - 1)
        return round(self.candidates * share), round(self.pursuits * share)


def build(*, largest_id: int, size: Size, at: datetime) -> dict[str, int]:
    """Fill the database; answers how many rows each table has then."""
    orgs = _organizations(largest_id, size.organizations)
    for place, org in enumerate(orgs):
        candidates, pursuits = size.of(place)
        with system_scope("bench"):
            _fill(org, candidates, pursuits, at)
        if place == 0:
            print(f"   the largest organisation has {candidates:,} candidates and {pursuits:,} pursuits", flush=True)
    _vacuum()
    began = time.perf_counter()
    for org in orgs:
        rebuild_today(org=org, at=at)
    print(f"   Today of all organisations computed in {time.perf_counter() - began:.0f} s", flush=True)
    _vacuum()
    tables = ("candidate", "pursuit", "stagehistory", "slaclock", "slabreach", "todayitem")
    with system_scope("bench"), connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"(SELECT count(*) FROM workstream_{table})" for table in tables))
        return dict(zip(tables, cursor.fetchone(), strict=True))


def _vacuum() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _organizations(largest_id: int, number: int) -> list[Organization]:
    with system_scope("bench"):
        largest = Organization.objects.get(pk=largest_id)
        others = Organization.objects.bulk_create(
            Organization(name=f"Organisation {n} beside {largest_id}") for n in range(1, number)
        )
    orgs = [largest, *others]
    for org in orgs:
        with org_scope(org):
            seed_default_rules(org)
    return orgs


# Times of clocks: what has passed was told, what comes comes in more than a day.
_TOUCHED = "%(at)s - (n %% 144) * interval '1 hour'"
_AHEAD = "%(at)s + interval '25 hours' + (n %% 500) * interval '1 minute'"


def _fill(org: Organization, candidates: int, pursuits: int, at: datetime) -> None:
    known = {"org": org.pk, "at": at, "candidates": candidates, "pursuits": pursuits, "owners": OWNERS}
    known["first_user"] = _people(known)
    _insert(
        "clients_client",
        {"name": "'Company ' || n", "domain": "'company' || n || '.example'", "is_active": "true"},
        f"generate_series(1, {max(candidates // 20, 1)}) n",
        known,
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(id), count(*) FROM clients_client WHERE org_id = %s", [org.pk])
        known["first_client"], known["clients"] = cursor.fetchone()
    # The first three in ten became pursuits; of the rest seven in ten are open.
    state = (
        "CASE WHEN n <= %(pursuits)s THEN 'promoted' ELSE (ARRAY['new','triaged','triaged','triaged','triaged',"
        "'nurture','on_hold','archived','archived','archived'])[1 + n %% 10] END"
    )
    _insert(
        "workstream_candidate",
        {
            "client_id": "%(first_client)s + n %% %(clients)s",
            "owner_id": "%(first_user)s + n %% %(owners)s",
            "title": "'Candidate ' || n || ' asks for an offer'",
            "value_band": "(ARRAY['low','med','high'])[1 + n %% 3]",
            "confidence": "0.5",
            "currency": "'USD'",
            "status": "s.state",
            "created_at": "%(at)s - n * interval '1 minute'",
            "state_entered_at": "%(at)s - n * interval '1 minute'",
            "last_touch_at": f"least({_TOUCHED}, %(at)s)",
            "next_step_due": "CASE WHEN n %% 12 = 0 THEN (%(at)s + (2 + n %% 30) * interval '1 day')::date END",
            "hold_reason": "CASE WHEN s.state = 'on_hold' THEN 'Budget' ELSE '' END",
            "archive_reason": "CASE WHEN s.state = 'archived' THEN 'No need' ELSE '' END",
            "promoted_at": "CASE WHEN s.state = 'promoted' THEN %(at)s END",
        },
        f"generate_series(1, %(candidates)s) n CROSS JOIN LATERAL (SELECT {state} AS state) s",
        known,
    )
    stage = "(ARRAY['qual','pink','red','submit','won','won','won','lost','lost','lost'])[1 + c.n %% 10]"
    _insert(
        "workstream_pursuit",
        {
            "candidate_id": "c.id",
            "client_id": "c.client_id",
            "owner_id": "c.owner_id",
            "title": "c.title",
            "stage": "s.stage",
            "due_date": "(%(at)s + (2 + c.n %% 90) * interval '1 day')::date",
            "forecast_value": "1000 + c.n",
            "currency": "'USD'",
            "probability": "0.5",
            "pink_required": "4",
            "red_required": "4",
            "pink_done": "c.n %% 5",
            "created_at": "c.created_at",
            "state_entered_at": "c.state_entered_at",
            "last_touch_at": "c.last_touch_at",
            "submitted_at": "CASE WHEN s.stage IN ('submit', 'won', 'lost') THEN c.created_at END",
            "closed_at": "CASE WHEN s.stage IN ('won', 'lost') THEN c.created_at + interval '20 hours' END",
            "outcome_reason": "CASE WHEN s.stage = 'lost' THEN 'Price' ELSE '' END",
        },
        "(SELECT *, row_number() OVER (ORDER BY id)::int AS n FROM workstream_candidate"
        f" WHERE org_id = %(org)s AND status = 'promoted') c CROSS JOIN LATERAL (SELECT {stage} AS stage) s",
        known,
    )
    _stays(known)
    _clocks(known)


def _people(known: dict[str, Any]) -> int:
    """The organisation's representatives; answers the id of the first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH people AS (
                   INSERT INTO tenancy_user (username, password, is_superuser, is_staff, is_active, first_name,
                       last_name, email, date_joined)
                   SELECT 'rep' || n || '-of-' || %(org)s, '!', false, false, true, 'Rep', n::text, '', %(at)s
                     FROM generate_series(1, %(owners)s) n RETURNING id),
               members AS (
                   INSERT INTO tenancy_membership
                       (org_id, created_at, updated_at, row_version, user_id, role, is_active)
                   SELECT %(org)s, %(at)s, %(at)s, 1, id, 'rep', true FROM people)
               SELECT min(id) FROM people""",
            known,
        )
        return int(cursor.fetchone()[0])


def _stays(known: dict[str, Any]) -> None:
    """Two stays of every item that has moved, the last one open."""
    for item, state, first in (("candidate", "status", "new"), ("pursuit", "stage", "qual")):
        by = {"actor_kind": "'system'", "origin": "'system'", "actor_label": "'bench'", f"{item}_id": "i.id"}
        rows = f"workstream_{item} i"
        of_org = f"{rows} WHERE i.org_id = %(org)s"
        moved = f"{of_org} AND i.{state} <> '{first}'"
        left_at = "i.created_at + (1 + i.id %% 90) * interval '1 hour'"
        began = {"state": f"'{first}'", "entered_at": "i.created_at"}
        _insert("workstream_stagehistory", {**by, **began, "left_at": left_at, "left_for": f"i.{state}"}, moved, known)
        _insert("workstream_stagehistory", {**by, "state": f"i.{state}", "entered_at": left_at}, moved, known)
        _insert("workstream_stagehistory", {**by, **began}, f"{of_org} AND i.{state} = '{first}'", known)


_OPEN = {
    "candidate": "i.status NOT IN ('promoted', 'archived')",
    "pursuit": "i.stage NOT IN ('won', 'lost')",
}
_DAY_OF = {"candidate": "next_step_due", "pursuit": "due_date"}


def _clocks(known: dict[str, Any]) -> None:
    ruled = (
        ("candidate", "triage_sla", "i.status = 'new'", 24),
        ("pursuit", "proposal_sla", "i.stage IN ('qual', 'pink', 'red')", 72),
        ("pursuit", "response_sla", "i.stage = 'submit'", 96),
    )
    for item, metric, running, hours in ruled:
        # One in twenty is in breach, three in twenty are near the end.
        kind = "CASE WHEN i.id %% 20 = 0 THEN 'breached' WHEN i.id %% 20 < 4 THEN 'warned' ELSE 'calm' END"
        due = f"CASE k.kind WHEN 'breached' THEN %(at)s - interval '3 hours' ELSE {_AHEAD.replace('n %', 'i.id %')} END"
        past = "%(at)s - interval '9 hours'"
        _insert(
            "workstream_slaclock",
            {
                f"{item}_id": "i.id",
                "rule_id": "r.id",
                "rule_version": "1",
                "metric": f"'{metric}'",
                "started_at": f"({due}) - interval '{hours} hours'",
                "due_at": due,
                "warn_at": f"CASE WHEN k.kind = 'calm' THEN ({due}) - interval '10 minutes' ELSE {past} END",
                "warned_at": f"CASE WHEN k.kind = 'calm' THEN NULL ELSE {past} END",
                "breached_at": f"CASE WHEN k.kind = 'breached' THEN {due} END",
            },
            f"workstream_{item} i JOIN workstream_slarule r ON r.org_id = i.org_id AND r.item_type = '{item}'"
            f" AND r.metric = '{metric}' CROSS JOIN LATERAL (SELECT {kind} AS kind) k"
            f" WHERE i.org_id = %(org)s AND {running}",
            known,
        )
    _insert(
        "workstream_slabreach",
        {
            "candidate_id": "i.candidate_id",
            "pursuit_id": "i.pursuit_id",
            "clock_id": "i.id",
            "rule_id": "i.rule_id",
            "metric": "i.metric",
            "reason_code": "CASE i.metric WHEN 'triage_sla' THEN 'untouched' WHEN 'proposal_sla' THEN"
            " 'proposal_overdue' ELSE 'response_overdue' END",
            "breached_at": "i.breached_at",
        },
        "workstream_slaclock i WHERE i.org_id = %(org)s AND i.breached_at IS NOT NULL",
        known,
    )
    for item, is_open in _OPEN.items():
        # Untouched for three days is told of; the others have a day to go at least.
        warn_at = "i.last_touch_at + interval '72 hours'"
        safe = (
            f"CASE WHEN {warn_at} <= %(at)s THEN {warn_at} ELSE greatest({warn_at}, %(at)s + interval '25 hours') END"
        )
        _insert(
            "workstream_slaclock",
            {
                f"{item}_id": "i.id",
                "metric": "'touch'",
                "started_at": "i.last_touch_at",
                "warn_at": safe,
                "warned_at": f"CASE WHEN {warn_at} <= %(at)s THEN {warn_at} END",
            },
            f"workstream_{item} i WHERE i.org_id = %(org)s AND {is_open}",
            known,
        )
        day = f"i.{_DAY_OF[item]}"
        _insert(
            "workstream_slaclock",
            {
                f"{item}_id": "i.id",
                "metric": "'due_date'",
                "started_at": "i.created_at",
                "warn_at": f"({day} + 1)::timestamp AT TIME ZONE 'UTC'",
            },
            f"workstream_{item} i WHERE i.org_id = %(org)s AND {is_open} AND {day} IS NOT NULL",
            known,
        )


_columns: dict[str, dict[str, str]] = {}
_EMPTY = {"jsonb": "'{}'", "ARRAY": "'{}'", "boolean": "false", "integer": "0", "smallint": "0", "bigint": "0"}


def _insert(table: str, values: dict[str, str], rows: str, known: dict[str, Any]) -> None:
    """INSERT … SELECT; columns that must not be null and are not named get what is empty for their type."""
    if table not in _columns:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s AND"
                " is_nullable = 'NO' AND column_default IS NULL AND is_generated = 'NEVER' AND is_identity = 'NO'",
                [table],
            )
            _columns[table] = {name: _EMPTY.get(kind, "0" if kind == "numeric" else "''") for name, kind in cursor}
    stamps = {"org_id": "%(org)s", "created_at": "%(at)s", "updated_at": "%(at)s", "row_version": "1"}
    chosen = {**_columns[table], **stamps, **values}
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(chosen)}) SELECT {', '.join(chosen.values())} FROM {rows}", known
        )
