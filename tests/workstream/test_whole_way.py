"""The main road over REST: from a form on the website to a won deal, with every handler run and every email sent."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail

from flowledger.outbox.drain import drain_all
from flowledger.outbox.emails import send_outgoing_emails
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.models import Membership
from tests.client import ApiClient

pytestmark = pytest.mark.django_db


def drained() -> None:
    result = drain_all()
    assert (result.failed, result.dead) == (0, 0)


def test_from_signal_to_engagement(
    org: Any, rep: Membership, as_rep: ApiClient, as_manager: ApiClient, manager: Membership
) -> None:
    def post(path: str, body: dict[str, Any] | None = None, *, status: int = 200, client: ApiClient = as_rep) -> Any:
        answer = client.post(f"/api/{path}", body or {})
        assert answer.status_code == status, answer.content
        drained()
        return answer.json()

    signal = post(
        "signals",
        {
            "source_type": "web_form",
            "source_ref": "form-17",
            "snippet": "Our press stops twice a day.",
            "problem_phrase": "Press stops",
            "contact_email": "ann@acme.example",
            "contact_name": "Ann Lee",
            "company_name": "Acme",
        },
        status=201,
    )
    candidate = post(
        "candidates",
        {
            "signal_ids": [signal["signal_id"]],
            "owner_user_id": rep.user_id,
            "one_liner_scope": "Two new press lines",
            "estimated_value": "72000.00",
        },
        status=201,
    )
    assert (candidate["client_id"], candidate["contact_id"]) == (signal["client_id"], signal["contact_id"])
    post(f"candidates/{candidate['candidate_id']}/triage")
    pursuit_id = post(f"candidates/{candidate['candidate_id']}/promote", status=201)["pursuit_id"]
    pursuit = f"pursuits/{pursuit_id}"

    # The promotion's handler has drafted version 1; the rep rewrites it.
    (draft,) = as_rep.get(f"/api/{pursuit}/proposals").json()["data"]
    assert (draft["version"], draft["status"], draft["amount"]) == (1, "draft", "72000.00")
    edited = post(f"{pursuit}/proposals", {"title": "Two press lines for Acme"}, status=201)
    assert edited["version"] == 2

    post(f"{pursuit}/stage", {"stage": "pink"})
    post(f"{pursuit}/stage", {"stage": "red"})
    blocked = post(f"{pursuit}/submit", status=409)
    assert len(blocked["missing_items"]) == 4
    tick(as_rep, pursuit, "pink", all_but_one=True)
    last = next(item for item in checklist(as_rep, pursuit, "pink") if not item["is_done"])
    post(f"{pursuit}/checklist/{last['checklist_item_id']}/waive", {"reason": "Frame contract"}, client=as_manager)
    assert post(f"{pursuit}/submit")["previous_stage"] == "red"

    (sent, void) = as_rep.get(f"/api/{pursuit}/proposals").json()["data"]
    assert (sent["status"], sent["recipients"], void["status"]) == ("sent", ["ann@acme.example"], "void")
    (follow_up,) = as_rep.get(f"/api/{pursuit}/tasks?status=open").json()["data"]
    post(f"tasks/{follow_up['task_id']}/done")
    post(f"proposals/{sent['proposal_id']}/sign")

    post(f"{pursuit}/won", status=409)
    tick(as_rep, pursuit, "red")
    won = post(f"{pursuit}/won")
    assert (won["stage"], won["previous_stage"], won["compliance_score"]) == ("won", "submit", 1.0)

    (engagement,) = as_rep.get(f"/api/engagements?pursuit_id={pursuit_id}").json()["data"]
    assert (engagement["client_id"], engagement["value"]) == (signal["client_id"], "72000.00")
    assert len(as_rep.get(f"/api/engagements/{engagement['engagement_id']}/tasks").json()["data"]) == 4

    send_outgoing_emails()
    assert [(message.subject, message.to) for message in mail.outbox] == [
        ("Two press lines for Acme", ["ann@acme.example"]),
        ("Proposal sent: Two press lines for Acme", ["rita@harbour.example"]),
        ("Won: Acme – Press stops", ["rita@harbour.example"]),
    ]
    assert mail.outbox[0].reply_to == ["rita@harbour.example"]
    assert WorkEvent.all_orgs.filter(org=org, processed_at__isnull=True).count() == 0
    history = as_rep.get(f"/api/{pursuit}/history").json()["data"]
    assert [stay["state"] for stay in history] == ["qual", "pink", "red", "submit", "won"]
    checks = as_rep.get(f"/api/{pursuit}/gate-checks").json()["data"]
    assert [(check["gate"], check["passed"]) for check in reversed(checks)] == [
        ("red", True),
        ("submit", False),
        ("submit", True),
        ("won", False),
        ("won", True),
    ]


def checklist(client: ApiClient, pursuit: str, kind: str) -> list[dict[str, Any]]:
    return [item for item in client.get(f"/api/{pursuit}/checklist").json()["data"] if item["kind"] == kind]


def tick(client: ApiClient, pursuit: str, kind: str, *, all_but_one: bool = False) -> None:
    """Complete the items of a review over REST."""
    items = checklist(client, pursuit, kind)
    for item in items[1:] if all_but_one else items:
        answer = client.patch(
            f"/api/{pursuit}/checklist/{item['checklist_item_id']}",
            {"is_done": True, "evidence": "Mail of 2 March"},
            content_type="application/json",
        )
        assert answer.status_code == 200
    drained()
