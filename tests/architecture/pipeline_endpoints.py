"""Rows of the stranger table for clients and the pipeline; see `endpoints.py`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flowledger.clients.models import Client, Contact, OnboardingTask
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Membership, User
from tests.architecture.endpoints import Endpoint, World
from workstream import services
from workstream.models import Notification, Problem, Pursuit, Signal, SlaBreach, SlaRule, Solution, Tag
from workstream.services.today import refresh_today

SYSTEM = Actor.system("tests")
VIEWER, REP, MANAGER = Role.VIEWER, Role.REP, Role.MANAGER
LINE = [{"name": "Budget confirmed"}]
NOTE = {"summary": "Spoke with them"}
TASK = {"title": "Call back"}
LINK = {"link_type": "url", "target_ref": "https://example.com/offer"}
REASON = {"reason": "No budget this year"}
OFFICE = {"name": "Office", "timezone": "Europe/Berlin", "country": "DE"}


def _do(service: Callable[..., Any], world: World, **arguments: Any) -> Any:
    return service(org=world.org, actor=SYSTEM, at=world.at, **arguments)


def _signal(world: World) -> Signal:
    return _do(services.create_signal, world, fields={"source_type": "note", "snippet": "A sign"}).signal


def _clustered(world: World) -> Signal:
    """One of two signals that say the same."""
    fields = {"source_type": "note", "snippet": "Our press stops twice a day", "company_name": "Northwind"}
    signals = [_do(services.create_signal, world, fields=fields).signal for _ in range(2)]
    _do(services.cluster_signals, world, signal_ids=[signal.pk for signal in signals])
    signals[0].refresh_from_db()
    return signals[0]


def _candidate(world: World) -> Any:
    client = Client.all_orgs.create(org=world.org, name="Harbour Works")
    return _do(services.create_candidate, world, fields={"title": "A lead", "client": client})


def _triaged(world: World) -> Any:
    return _do(services.triage_candidate, world, candidate_id=_candidate(world).pk)


def _pursuit(world: World) -> Pursuit:
    return _do(services.promote_candidate, world, candidate_id=_triaged(world).pk).pursuit


def _submitted(world: World) -> Pursuit:
    """Ready to be won or lost, and nobody's: a representative may close it."""
    pursuit = _ready(world)
    _do(services.submit_pursuit, world, pursuit_id=pursuit.pk)
    Pursuit.all_orgs.filter(pk=pursuit.pk).update(owner=None)
    return pursuit


def _ready(world: World) -> Pursuit:
    """In red review with everything done; its owner is gone since."""
    pursuit = _pursuit(world)
    owner = User.objects.create(username=f"owner-of-{pursuit.pk}", password="!")
    Pursuit.all_orgs.filter(pk=pursuit.pk).update(owner=owner)
    for item in pursuit.checklist_items.order_by("pk"):
        _do(services.update_checklist_item, world, item_id=item.pk, is_done=True)
    _do(services.create_proposal, world, pursuit_id=pursuit.pk, fields={})
    for stage in ("pink", "red"):
        _do(services.move_pursuit, world, pursuit_id=pursuit.pk, stage=stage)
    Pursuit.all_orgs.filter(pk=pursuit.pk).update(owner=None)
    return pursuit


def _proposal(world: World) -> Any:
    return _do(services.create_proposal, world, pursuit_id=_pursuit(world).pk, fields={})


def _sent(world: World) -> Any:
    return _do(services.send_proposal, world, proposal_id=_proposal(world).pk)


def _engagement(world: World) -> Any:
    pursuit = _submitted(world)
    _do(services.win_pursuit, world, pursuit_id=pursuit.pk)
    return _do(services.open_engagement, world, pursuit_id=pursuit.pk)


def _task(world: World) -> Any:
    return _do(services.create_task, world, item_type="candidate", item_id=_candidate(world).pk, title="Call")


def _rule(world: World) -> SlaRule:
    fields = {"item_type": "candidate", "metric": "triage_sla", "threshold_hours": Decimal(8)}
    rule: SlaRule = _do(services.create_rule, world, fields=fields)
    return rule


def _breach(world: World) -> SlaBreach:
    """A candidate that was triaged too late."""
    candidate = _candidate(world)
    late = world.at + timedelta(days=2)
    services.triage_candidate(org=world.org, candidate_id=candidate.pk, actor=SYSTEM, at=late)
    breach: SlaBreach = SlaBreach.all_orgs.get(candidate=candidate)
    return breach


def _notification(world: World) -> Notification:
    """The viewer's own."""
    viewer = Membership.all_orgs.get(org=world.org, role=Role.VIEWER)
    row: Notification = Notification.all_orgs.create(
        org=world.org,
        user=viewer.user,
        kind="sla.breached",
        source_key="breach-1",
        title="Untouched: A lead",
        happened_at=world.at,
    )
    return row


def _listed(world: World) -> Any:
    """A candidate on the Today panel."""
    candidate = _triaged(world)
    refresh_today(org=world.org, candidate_ids=[candidate.pk], pursuit_ids=[], at=world.at)
    return candidate


def _snooze(world: World) -> dict[str, Any]:
    return {"item_type": "candidate", "item_id": world["listed"].pk, "until": "2099-01-01T00:00:00Z"}


BUILDERS: dict[str, Callable[[World], Any]] = {
    "client": lambda world: Client.all_orgs.create(org=world.org, name="Harbour Works"),
    "contact": lambda world: Contact.all_orgs.create(org=world.org, name="Ann", client=world["client"]),
    "onboarding_task": lambda world: OnboardingTask.all_orgs.create(
        org=world.org, client=world["client"], title="Send the welcome message"
    ),
    "signal": _signal,
    "clustered": _clustered,
    "candidate": _candidate,
    "triaged": _triaged,
    "pursuit": _pursuit,
    "ready": _ready,
    "submitted": _submitted,
    "item": lambda world: world["pursuit"].checklist_items.order_by("pk")[0],
    "proposal": _proposal,
    "sent": _sent,
    "engagement": _engagement,
    "task": _task,
    "notification": _notification,
    "tag": lambda world: Tag.all_orgs.create(org=world.org, name="Hot"),
    "problem": lambda world: Problem.all_orgs.create(org=world.org, name="Slow quotes"),
    "solution": lambda world: Solution.all_orgs.create(org=world.org, name="Quote desk"),
    "checklist_template": lambda world: _do(services.publish_checklist_template, world, kind="pink", items=LINE),
    "proposal_template": lambda world: _do(services.publish_proposal_template, world, title="Offer", body="Text"),
    "calendar": lambda world: _do(services.create_calendar, world, fields=OFFICE),
    "rule": _rule,
    "breach": _breach,
    "listed": _listed,
}


def _reading(resource: str, row: str) -> list[Endpoint]:
    return [Endpoint("GET", f"/api/{resource}"), Endpoint("GET", f"/api/{resource}/{{{row}}}")]


def _timeline(resource: str, row: str) -> list[Endpoint]:
    path = f"/api/{resource}/{{{row}}}/activities"
    return [Endpoint("GET", path), Endpoint("POST", path, 201, weakest=REP, body=NOTE)]


def _work(resource: str, row: str) -> list[Endpoint]:
    below = f"/api/{resource}/{{{row}}}"
    return [
        *_reading(resource, row),
        *_timeline(resource, row),
        Endpoint("GET", f"{below}/tasks"),
        Endpoint("POST", f"{below}/tasks", 201, weakest=REP, body=TASK),
        Endpoint("GET", f"{below}/links"),
        Endpoint("POST", f"{below}/links", 201, weakest=REP, body=LINK),
    ]


def _verb(path: str, ok: int = 200, *, weakest: Role = REP, **more: Any) -> Endpoint:
    return Endpoint("POST", path, ok, weakest=weakest, **more)


def _change(path: str, body: dict[str, Any], *, weakest: Role = REP) -> Endpoint:
    return Endpoint("PATCH", path, weakest=weakest, body=body)


ENDPOINTS: list[Endpoint] = [
    # Clients
    *_reading("clients", "client"),
    _verb("/api/clients", 201, body={"name": "Harbour Works"}),
    _change("/api/clients/{client}", {"industry": "Shipping"}),
    Endpoint("DELETE", "/api/clients/{client}", 204, weakest=MANAGER),
    Endpoint("GET", "/api/clients/{client}/contacts"),
    _verb("/api/clients/{client}/contacts", 201, body={"name": "Ann"}),
    Endpoint("GET", "/api/clients/{client}/tasks"),
    _verb("/api/clients/{client}/tasks", 201, body=TASK),
    _change("/api/clients/{client}/tasks/{onboarding_task}", {"title": "Welcome them"}),
    Endpoint("GET", "/api/clients/{client}/notes"),
    _verb("/api/clients/{client}/notes", 201, body=NOTE),
    *_reading("contacts", "contact"),
    _verb("/api/contacts", 201, body={"name": "Ann"}),
    _change("/api/contacts/{contact}", {"title": "Buyer"}),
    Endpoint("DELETE", "/api/contacts/{contact}", 204, weakest=MANAGER),
    Endpoint("GET", "/api/contacts/{contact}/notes"),
    _verb("/api/contacts/{contact}/notes", 201, body=NOTE),
    # Signals
    *_reading("signals", "signal"),
    *_timeline("signals", "signal"),
    _verb("/api/signals", 201, body={"source_type": "note", "snippet": "A sign"}),
    _change("/api/signals/{signal}", {"owner_user_id": None}),
    _verb("/api/signals/{signal}/link", body=lambda world: {"candidate_id": world["candidate"].pk}),
    _verb("/api/signals/{signal}/reject", body=REASON),
    Endpoint("GET", "/api/signals/{signal}/cluster"),
    _verb("/api/signals/{clustered}/cluster/link", body=lambda world: {"candidate_id": world["candidate"].pk}),
    # Candidates
    *_work("candidates", "candidate"),
    Endpoint("GET", "/api/candidates/{candidate}/history"),
    _verb("/api/candidates", 201, body={"title": "A lead"}),
    _change("/api/candidates/{candidate}", {"title": "A better lead"}),
    _verb("/api/candidates/{candidate}/triage"),
    _verb("/api/candidates/{triaged}/nurture"),
    _verb("/api/candidates/{triaged}/hold", body=REASON),
    _verb("/api/candidates/{triaged}/archive", body=REASON),
    _verb("/api/candidates/{triaged}/promote", 201),
    # Pursuits
    *_work("pursuits", "pursuit"),
    Endpoint("GET", "/api/pursuits/{pursuit}/history"),
    Endpoint("GET", "/api/pursuits/{pursuit}/gates"),
    Endpoint("GET", "/api/pursuits/{pursuit}/gate-checks"),
    _change("/api/pursuits/{pursuit}", {"title": "A bigger deal"}),
    _verb("/api/pursuits/{pursuit}/stage", body={"stage": "pink"}),
    _verb("/api/pursuits/{ready}/submit"),
    _verb("/api/pursuits/{submitted}/won"),
    _verb("/api/pursuits/{submitted}/lost", body=REASON),
    Endpoint("GET", "/api/pursuits/{pursuit}/checklist"),
    _verb("/api/pursuits/{pursuit}/checklist", 201, body={"kind": "pink", "name": "Security review"}),
    _change("/api/pursuits/{pursuit}/checklist/{item}", {"is_done": True}),
    _verb("/api/pursuits/{pursuit}/checklist/{item}/waive", weakest=MANAGER, body=REASON),
    Endpoint("GET", "/api/pursuits/{pursuit}/proposals"),
    _verb("/api/pursuits/{pursuit}/proposals", 201, body={}),
    Endpoint("GET", "/api/pursuits/{pursuit}/costs"),
    _verb("/api/pursuits/{pursuit}/costs", 201, body={"role": "Architect", "hours": 2}),
    # Proposals
    *_reading("proposals", "proposal"),
    _change("/api/proposals/{proposal}", {"title": "Our offer"}),
    _verb("/api/proposals/{proposal}/send"),
    _verb("/api/proposals/{sent}/sign"),
    _verb("/api/proposals/{proposal}/void"),
    # After the win, and work
    *_work("engagements", "engagement"),
    *_reading("tasks", "task"),
    _verb("/api/tasks/{task}/done"),
    _verb("/api/tasks/{task}/cancel"),
    # Vocabulary and templates
    *_reading("tags", "tag"),
    *_reading("problems", "problem"),
    _verb("/api/problems", 201, weakest=MANAGER, body={"name": "Late deliveries"}),
    _change("/api/problems/{problem}", {"definition": "Quotes take weeks"}, weakest=MANAGER),
    *_reading("solutions", "solution"),
    _verb("/api/solutions", 201, weakest=MANAGER, body={"name": "Delivery desk"}),
    _change("/api/solutions/{solution}", {"list_price": "100.00"}, weakest=MANAGER),
    *_reading("checklist-templates", "checklist_template"),
    _verb("/api/checklist-templates", 201, weakest=MANAGER, body={"kind": "red", "items": LINE}),
    *_reading("proposal-templates", "proposal_template"),
    _verb("/api/proposal-templates", 201, weakest=MANAGER, body={"title": "Offer", "body": "Text"}),
    # Business calendars
    *_reading("sla/calendars", "calendar"),
    _verb("/api/sla/calendars", 201, weakest=MANAGER, body=OFFICE),
    _verb("/api/sla/calendars/preview", weakest=VIEWER, body={"start_at": "2026-03-06T15:00:00Z", "hours": 8}),
    _change("/api/sla/calendars/{calendar}", {"country": "AT"}, weakest=MANAGER),
    Endpoint("DELETE", "/api/sla/calendars/{calendar}", 204, weakest=MANAGER),
    # SLA rules and breaches
    *_reading("sla/rules", "rule"),
    _verb(
        "/api/sla/rules",
        201,
        weakest=MANAGER,
        body={"item_type": "pursuit", "metric": "submit_sla", "threshold_hours": 48},
    ),
    _change("/api/sla/rules/{rule}", {"threshold_hours": 12}, weakest=MANAGER),
    Endpoint("DELETE", "/api/sla/rules/{rule}", 204, weakest=MANAGER),
    *_reading("sla/breaches", "breach"),
    Endpoint(
        "GET",
        "/api/sla/explain",
        stranger=404,
        query=lambda world: f"item_type=candidate&item_id={world['candidate'].pk}",
    ),
    # Notifications: people only, and each their own
    Endpoint("GET", "/api/notifications"),
    Endpoint(
        "POST",
        "/api/notifications/{notification}/read",
        body={},
        overrides=dict.fromkeys(("rep", "manager", "admin"), 404),
    ),
    Endpoint("POST", "/api/notifications/read-all", body={}),
    Endpoint("GET", "/api/notifications/preferences"),
    Endpoint("PATCH", "/api/notifications/preferences", body={"email_mode": "digest"}),
    # The module's own path
    Endpoint("GET", "/api/workstream/stats"),
    Endpoint("GET", "/api/workstream/today"),
    Endpoint("POST", "/api/workstream/today/snooze", weakest=REP, body=_snooze, stranger=404),
    *(
        Endpoint("GET", f"/api/workstream/{report}")
        for report in (
            *("funnel", "velocity", "sla-compliance", "workload", "identity-status", "outbox-health", "outcomes"),
            "checklist-ready",
        )
    ),
    Endpoint("GET", "/api/workstream/board/candidates"),
    Endpoint("GET", "/api/workstream/board/pursuits"),
    _verb("/api/candidates/bulk/transition", body=lambda world: {"ids": [world["triaged"].pk], "to": "nurture"}),
    _verb("/api/pursuits/bulk/transition", body=lambda world: {"ids": [world["pursuit"].pk], "to": "pink"}),
    Endpoint("GET", "/api/workstream/events"),
    Endpoint("GET", "/api/workstream/signals"),
    Endpoint("GET", "/api/workstream/candidates"),
    Endpoint("GET", "/api/workstream/pursuits"),
]
