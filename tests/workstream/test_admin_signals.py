"""Signals in the back office: logged by hand, kept as received, opened, linked, rejected."""

from __future__ import annotations

import pytest

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope
from tests.workstream.back_office import address, buttons_on, events_of, press, said, save, stored
from tests.workstream.factories import AT, CLERK, CandidateFactory, SignalFactory, open_candidate
from workstream import services
from workstream.models import Candidate, CandidateSignal, Signal, SignalPayload


@pytest.fixture
def signal(home):
    with org_scope(home.org):
        fields = {"source_type": "web_form", "snippet": "Our press stops", "company_name": "Northwind"}
        return services.create_signal(org=home.org, fields=fields, actor=CLERK, at=AT).signal


class TestLogASignal:
    def test_keeps_it_with_its_payload_and_finds_who_it_is_from(self, home, as_role):
        response = save(
            as_role(Role.REP),
            address(Signal, "add"),
            "signal_form",
            source_type="call",
            snippet="They called about the press",
            contact_name="Ann Moss",
            contact_email="Ann@Northwind-Traders.com",
        )
        assert response.status_code == 200
        with org_scope(home.org):
            row = Signal.objects.for_org(home.org).get()
            assert (row.source_type, row.contact_email) == ("call", "Ann@Northwind-Traders.com")
            assert row.contact.email.lower() == "ann@northwind-traders.com"
            assert SignalPayload.objects.for_org(home.org).get().signal_id == row.pk
        assert "signal.created" in events_of(home.org)

    def test_offers_conversations_only(self, home, as_role):
        response = save(
            as_role(Role.REP), address(Signal, "add"), "signal_form", source_type="web_form", snippet="Forged"
        )
        assert "Select a valid choice" in response.content.decode()
        with org_scope(home.org):
            assert not Signal.objects.for_org(home.org).exists()

    def test_is_not_for_viewers(self, home, as_role):
        client = as_role(Role.VIEWER)
        assert client.get(address(Signal, "add")).status_code == 403
        assert client.post(address(Signal, "add"), {"source_type": "call", "snippet": "x"}).status_code == 403
        assert events_of(home.org) == []


class TestAReceivedSignal:
    def test_changes_its_owner_only(self, home, as_role, signal):
        before = stored(signal)
        owner = home.people[Role.REP]
        save(
            as_role(Role.MANAGER),
            address(Signal, "change", signal.pk),
            "signal_form",
            owner=owner.pk,
            snippet="Rewritten",
            source_type="email",
            disposition="rejected",
        )
        after = stored(signal)
        assert after["owner_id"] == owner.pk
        kept = {name for name in before if name not in {"owner_id", "row_version", "updated_at"}}
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}

    def test_shows_payload_and_trail(self, home, as_role, signal):
        page = as_role(Role.VIEWER).get(address(Signal, "change", signal.pk)).content.decode()
        assert "&quot;company_name&quot;: &quot;Northwind&quot;" in page
        assert "A signal was received and kept." in page

    def test_has_no_buttons_for_viewers(self, as_role, signal):
        assert buttons_on(as_role(Role.VIEWER).get(address(Signal, "change", signal.pk))) == set()

    def test_has_no_delete_page(self, as_role, signal):
        assert as_role(Role.ADMIN).post(address(Signal, "delete", signal.pk), {"post": "yes"}).status_code == 403
        assert stored(signal)


class TestReject:
    def test_keeps_the_reason(self, home, as_role, signal):
        response = press(as_role(Role.REP), signal, "reject", reason="A vendor")
        assert "rejected" in said(response)
        assert (stored(signal)["disposition"], stored(signal)["reject_reason"]) == ("rejected", "A vendor")
        # It was received long ago, so the end of its triage came too late.
        assert events_of(home.org)[-3:] == ["signal.rejected", "sla.breached", "sla.resolved"]

    def test_needs_a_reason(self, home, as_role, signal):
        before, events = stored(signal), events_of(home.org)
        response = press(as_role(Role.REP), signal, "reject", reason="  ")
        assert response.status_code == 400
        assert (stored(signal), events_of(home.org)) == (before, events)

    @pytest.mark.parametrize("button", ["reject", "link", "open-candidate"])
    def test_a_forged_post_of_a_viewer_changes_nothing(self, home, as_role, signal, button):
        before, events = stored(signal), events_of(home.org)
        response = press(as_role(Role.VIEWER), signal, button, reason="Because", value_band="low")
        assert "needs the owner or a representative" in said(response)
        assert (stored(signal), events_of(home.org)) == (before, events)

    def test_a_strangers_signal_does_not_exist(self, abroad, as_role):
        theirs = SignalFactory(org=abroad.org)
        before = stored(theirs)
        assert press(as_role(Role.ADMIN), theirs, "reject", reason="Mine now").status_code == 404
        assert stored(theirs) == before


class TestLink:
    def test_puts_it_behind_the_candidate(self, home, as_role, signal):
        candidate = open_candidate(home.org)
        press(as_role(Role.REP), signal, "link", candidate=candidate.pk, reason="Same press")
        with org_scope(home.org):
            link = CandidateSignal.objects.for_org(home.org).get()
        assert (link.candidate_id, link.signal_id, link.reason) == (candidate.pk, signal.pk, "Same press")
        assert stored(signal)["disposition"] == "linked"

    def test_refuses_a_strangers_candidate(self, home, abroad, as_role, signal):
        theirs = CandidateFactory(org=abroad.org)
        response = press(as_role(Role.ADMIN), signal, "link", candidate=theirs.pk)
        assert response.status_code == 400
        assert stored(signal)["disposition"] == "new"
        assert theirs.title not in response.content.decode()

    def test_candidates_are_found_by_their_words(self, home, abroad, as_role, signal):
        mine = open_candidate(home.org, title="Packing line for Northwind")
        open_candidate(home.org, title="Something else")
        open_candidate(abroad.org, title="Packing line abroad")
        query = {"app_label": "workstream", "model_name": "candidatesignal", "field_name": "candidate", "term": "pack"}
        found = as_role(Role.REP).get("/admin/autocomplete/", query).json()["results"]
        assert [each["id"] for each in found] == [str(mine.pk)]


class TestOpenCandidate:
    def test_makes_a_candidate_of_it_and_goes_there(self, home, as_role, signal):
        owner = home.people[Role.REP]
        response = press(
            as_role(Role.REP), signal, "open-candidate", follow=False, title="", value_band="high", owner=owner.pk
        )
        with org_scope(home.org):
            candidate = Candidate.objects.for_org(home.org).get()
        assert response.headers["Location"] == address(Candidate, "change", candidate.pk)
        assert (candidate.title, candidate.value_band) == ("Northwind – Our press stops", "high")
        assert (candidate.owner_id, candidate.client_id) == (owner.pk, signal.client_id)
        assert stored(signal)["disposition"] == "linked"

    def test_refuses_somebody_from_elsewhere_as_owner(self, home, abroad, as_role, signal):
        response = press(
            as_role(Role.REP), signal, "open-candidate", value_band="low", owner=abroad.people[Role.REP].pk
        )
        assert response.status_code == 400
        with org_scope(home.org):
            assert not Candidate.objects.for_org(home.org).exists()
