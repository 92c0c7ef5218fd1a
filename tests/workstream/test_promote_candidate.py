"""Promotion opens exactly one pursuit with its checklists, however often and however concurrently it is asked for."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from flowledger.errors import InvalidInput, InvalidTransition, PermissionRefused
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from tests.client import ApiClient, bearer
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, ContactFactory, open_candidate
from tests.workstream.trail import at_once, events_of, newest_event, nothing_changes, stays_of
from workstream import services
from workstream.machines import CandidateStatus
from workstream.models import Candidate, ChecklistItem, Pursuit


def promote(candidate: Candidate, **more: Any) -> Any:
    arguments = {"org": candidate.org, "candidate_id": candidate.pk, "actor": CLERK, "at": AT, **more}
    return services.promote_candidate(**arguments)


def checklist(pursuit: Pursuit, kind: str) -> list[tuple[str, bool, int]]:
    rows = ChecklistItem.all_orgs.filter(pursuit=pursuit, kind=kind).order_by("position")
    return [(row.name, row.is_required, row.template_version) for row in rows]


@pytest.mark.django_db
class TestPromoteCandidate:
    def test_copies_what_the_candidate_knows(self, org, rep):
        contact = ContactFactory(org=org)
        candidate = open_candidate(
            org,
            status="triaged",
            contact=contact,
            owner=rep.user,
            estimated_value=Decimal("72000"),
            currency="EUR",
            confidence=Decimal("0.70"),
        )
        promotion = promote(candidate)

        assert promotion.created
        pursuit = Pursuit.all_orgs.get(candidate=candidate)
        assert pursuit.pk == promotion.pursuit.pk
        assert (pursuit.client_id, pursuit.contact_id, pursuit.owner_id) == (
            candidate.client_id,
            contact.pk,
            rep.user_id,
        )
        assert (pursuit.title, pursuit.forecast_value, pursuit.currency) == ("Press line", Decimal(72000), "EUR")
        assert (pursuit.probability, pursuit.stage) == (Decimal("0.70"), "qual")
        assert (pursuit.due_date, pursuit.last_touch_at) == ((AT + timedelta(days=30)).date(), AT)

    def test_is_kept_on_both_with_one_event_each(self, org):
        candidate = open_candidate(org, status="triaged")
        pursuit = promote(candidate, at=AT + timedelta(hours=1)).pursuit

        stored = Candidate.all_orgs.get(pk=candidate.pk)
        assert (stored.status, stored.promoted_at) == ("promoted", AT + timedelta(hours=1))
        assert events_of(candidate)[-1] == "candidate.promoted"
        assert events_of(pursuit) == ["pursuit.created"]
        assert newest_event(org, "candidate.promoted").payload == {
            "candidate_id": candidate.pk,
            "pursuit_id": pursuit.pk,
        }
        assert stays_of(candidate)[-1].state == "promoted"
        (stay,) = stays_of(pursuit)
        assert (stay.state, stay.entered_at, stay.left_at) == ("qual", AT + timedelta(hours=1), None)

    @pytest.mark.parametrize(("band", "value"), [("low", 10_000), ("med", 50_000), ("high", 150_000)])
    def test_without_a_figure_the_band_gives_the_value(self, org, band, value):
        candidate = open_candidate(org, status="triaged", value_band=band)
        assert promote(candidate).pursuit.forecast_value == value

    def test_what_is_given_wins(self, org, rep, manager):
        candidate = open_candidate(org, status="triaged")
        pursuit = promote(
            candidate,
            fields={
                "title": "Press line, north",
                "due_date": date(2026, 6, 1),
                "forecast_value": Decimal(0),
                "capture_lead": rep.user,
                "proposal_manager": manager.user,
            },
        ).pursuit

        assert (pursuit.title, pursuit.due_date, pursuit.forecast_value) == ("Press line, north", date(2026, 6, 1), 0)
        assert (pursuit.capture_lead_id, pursuit.proposal_manager_id) == (rep.user_id, manager.user_id)

    def test_materialises_the_default_checklists(self, org):
        pursuit = promote(open_candidate(org, status="triaged")).pursuit

        assert checklist(pursuit, "pink") == [
            ("Budget confirmed", True, 0),
            ("Technical scope defined", True, 0),
            ("Decision makers identified", True, 0),
            ("Timeline agreed", True, 0),
        ]
        assert checklist(pursuit, "red") == [
            ("Proposal reviewed", True, 0),
            ("Pricing approved", True, 0),
            ("Legal terms agreed", True, 0),
            ("Delivery plan finalised", True, 0),
        ]
        stored = Pursuit.all_orgs.get(pk=pursuit.pk)
        assert (stored.pink_required, stored.red_required, stored.compliance_score) == (4, 4, 0)

    def test_materialises_the_newest_template(self, org):
        for items in ([{"name": "Old"}], [{"name": "Budget"}, {"name": "Champion", "is_required": False}]):
            services.publish_checklist_template(org=org, kind="pink", items=items, actor=CLERK, at=AT)
        pursuit = promote(open_candidate(org, status="triaged")).pursuit

        assert checklist(pursuit, "pink") == [("Budget", True, 2), ("Champion", False, 2)]
        assert len(checklist(pursuit, "red")) == 4
        assert Pursuit.all_orgs.get(pk=pursuit.pk).pink_required == 1

    def test_again_answers_with_the_same_pursuit(self, org):
        candidate = open_candidate(org, status="triaged")
        first = promote(candidate)
        with nothing_changes():
            again = promote(candidate)
        assert (again.created, again.pursuit.pk) == (False, first.pursuit.pk)

    @pytest.mark.parametrize("status", [s for s in CandidateStatus.values if s not in {"triaged", "promoted"}])
    def test_is_refused_from_any_other_status(self, org, status):
        candidate = open_candidate(org, status=status)
        with nothing_changes(), pytest.raises(InvalidTransition) as refusal:
            promote(candidate)
        assert refusal.value.details["attempted_state"] == "promoted"

    def test_somebody_elses_candidate_is_refused(self, org, rep, colleague):
        candidate = open_candidate(org, status="triaged", owner=colleague.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            promote(candidate, actor=actor_of(rep))

    def test_an_unknown_field_is_refused(self, org):
        candidate = open_candidate(org, status="triaged")
        with nothing_changes(), pytest.raises(InvalidInput):
            promote(candidate, fields={"stage": "won"})


@pytest.mark.django_db
class TestOverRest:
    def test_201_then_200_with_the_same_pursuit(self, org, rep, as_rep):
        candidate = open_candidate(org, status="triaged")
        path = f"/api/candidates/{candidate.pk}/promote"
        first = as_rep.post(path, {"due_date": "2026-06-01", "capture_lead_user_id": rep.user_id})
        again = as_rep.post(path)

        pursuit_id = first.json()["pursuit_id"]
        assert first.status_code == 201
        assert first.json() == {"pursuit_id": pursuit_id, "candidate_id": candidate.pk, "created": True}
        assert (again.status_code, again.json()) == (200, {**first.json(), "created": False})
        pursuit = as_rep.get(f"/api/pursuits/{pursuit_id}").json()
        assert (pursuit["candidate_id"], pursuit["stage"], pursuit["due_date"]) == (candidate.pk, "qual", "2026-06-01")
        assert pursuit["checklist"]["pink"] == {"done": 0, "required": 4, "percent": 0}
        promoted = as_rep.get(f"/api/candidates/{candidate.pk}").json()
        assert (promoted["pursuit_id"], promoted["status"]) == (pursuit_id, "promoted")
        assert promoted["promoted_at"] is not None

    @pytest.mark.parametrize(
        "body", [{"stage": "won"}, {"forecast_value": "-1"}, {"currency": "euro"}, {"probability": 2}]
    )
    def test_what_does_not_fit_is_refused(self, org, as_rep, body):
        candidate = open_candidate(org, status="triaged")
        with nothing_changes():
            answer = as_rep.post(f"/api/candidates/{candidate.pk}/promote", body)
        assert (answer.status_code, list(answer.json()["fields"])) == (400, list(body))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestConcurrentPromotions:
    def test_two_yield_one_pursuit(self, org, member_of):
        candidate = open_candidate(org, status="triaged")
        clients = [ApiClient(bearer(member_of(org, Role.REP, username=name))) for name in ("rita", "carl")]
        answers = at_once(*[partial(client.post, f"/api/candidates/{candidate.pk}/promote") for client in clients])

        assert sorted(answer.status_code for answer in answers) == [200, 201]
        assert sorted(answer.json()["created"] for answer in answers) == [False, True]
        with system_scope("tests"):
            pursuit = Pursuit.all_orgs.get(candidate=candidate)
            assert {answer.json()["pursuit_id"] for answer in answers} == {pursuit.pk}
            assert events_of(candidate).count("candidate.promoted") == 1
            assert events_of(pursuit) == ["pursuit.created"]
            assert ChecklistItem.all_orgs.filter(pursuit=pursuit).count() == 8
