"""Proposals in the back office: drafts edited, versions sent, signed and voided, every version printed."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope, system_scope
from tests.workstream.back_office import address, buttons_on, events_of, press, said, save, stored
from tests.workstream.factories import ProposalFactory, open_pursuit
from workstream.models import Proposal, Pursuit


@pytest.fixture
def pursuit(home):
    return open_pursuit(home.org, owner=home.people[Role.REP], with_email="ann@example.org")


@pytest.fixture
def proposal(pursuit):
    with org_scope(pursuit.org_id):
        return Proposal.objects.for_org(pursuit.org_id).get(pursuit=pursuit)


def link(proposal):
    return address(Proposal, "change", proposal.pk)


class TestADraft:
    def test_is_edited_through_the_use_case(self, as_role, proposal):
        save(as_role(Role.REP), link(proposal), "proposal_form", title="Our offer", amount="42000", version="9")
        after = stored(proposal)
        assert (after["title"], str(after["amount"]), after["version"]) == ("Our offer", "42000.00", 1)

    def test_locks_the_pursuit_before_the_proposal_as_the_services_do(self, as_role, proposal):
        with CaptureQueriesContext(connection) as captured:
            save(as_role(Role.REP), link(proposal), "proposal_form", title="Our offer")
        locks = [each["sql"] for each in captured.captured_queries if "FOR NO KEY UPDATE" in each["sql"]]
        tables = [re.search(r'FROM "(\w+)"', sql)[1] for sql in locks]
        assert tables[:2] == ["workstream_pursuit", "workstream_proposal"]

    def test_is_not_left_blank(self, as_role, proposal):
        before = stored(proposal)
        response = save(as_role(Role.REP), link(proposal), "proposal_form", title="  ")
        assert "required" in response.content.decode()
        assert stored(proposal) == before

    def test_is_not_a_colleagues_to_change(self, home, as_role):
        theirs = open_pursuit(home.org, owner=home.people[Role.MANAGER])
        with org_scope(home.org):
            proposal = Proposal.objects.for_org(home.org).get(pursuit=theirs)
        before, events = stored(proposal), events_of(home.org)
        client = as_role(Role.REP)
        assert buttons_on(client.get(link(proposal))) == set()
        assert client.post(link(proposal), {"title": "Mine"}).status_code == 403
        assert "needs the owner" in said(press(client, proposal, "send"))
        assert (stored(proposal), events_of(home.org)) == (before, events)


class TestButtons:
    def test_follow_the_machine(self, as_role, proposal):
        client = as_role(Role.REP)
        assert buttons_on(client.get(link(proposal))) == {"send", "void"}
        press(client, proposal, "send")
        assert buttons_on(client.get(link(proposal))) == {"sign", "void", "next-version"}
        press(client, proposal, "sign")
        assert stored(proposal)["status"] == "signed"
        assert buttons_on(client.get(link(proposal))) == {"next-version"}

    def test_send_asks_first_and_then_emails_the_contact(self, home, as_role, proposal):
        client = as_role(Role.REP)
        page = client.get(address(Proposal, "transition", proposal.pk, "send"))
        assert "cannot change any more" in page.content.decode()
        assert stored(proposal)["status"] == "draft"
        press(client, proposal, "send")
        assert (stored(proposal)["status"], stored(proposal)["recipients"]) == ("sent", ["ann@example.org"])
        assert "proposal.sent" in events_of(home.org)

    def test_a_sent_version_is_read_only(self, as_role, proposal):
        client = as_role(Role.ADMIN)
        press(client, proposal, "send")
        before = stored(proposal)
        page = client.get(link(proposal))
        assert not page.context["has_change_permission"]
        assert client.post(link(proposal), {"title": "Cheaper", "body": "x"}).status_code == 403
        assert stored(proposal) == before

    def test_return_to_the_pursuit_when_pressed_there(self, as_role, pursuit, proposal):
        client = as_role(Role.REP)
        there = address(Pursuit, "change", pursuit.pk)
        void = address(Proposal, "transition", proposal.pk, "void")
        assert f'action="{void}?back=pursuit"' in client.get(there).content.decode()
        assert client.post(f"{void}?back=pursuit").headers["Location"] == there
        assert stored(proposal)["status"] == "void"

    def test_next_version_leads_to_the_new_draft(self, home, as_role, proposal):
        client = as_role(Role.REP)
        press(client, proposal, "send")
        response = press(client, proposal, "next-version", follow=False)
        with org_scope(home.org):
            second = Proposal.objects.for_org(home.org).get(version=2)
        assert response.headers["Location"] == link(second)

    @pytest.mark.parametrize("button", ["send", "sign", "void", "next-version"])
    def test_a_forged_post_of_a_viewer_changes_nothing(self, home, as_role, proposal, button):
        before, events = stored(proposal), events_of(home.org)
        assert buttons_on(as_role(Role.VIEWER).get(link(proposal))) == set()
        assert "needs the owner" in said(press(as_role(Role.VIEWER), proposal, button))
        assert (stored(proposal), events_of(home.org)) == (before, events)

    def test_an_illegal_move_lists_the_legal_ones(self, as_role, proposal):
        before = stored(proposal)
        assert "possible next states: sent, void" in said(press(as_role(Role.ADMIN), proposal, "sign"))
        assert stored(proposal) == before


class TestPrint:
    def test_is_a_page_of_its_own(self, home, as_role, proposal):
        response = as_role(Role.VIEWER).get(address(Proposal, "print", proposal.pk))
        text = response.content.decode()
        assert response.status_code == 200
        assert home.org.name in text
        assert "<h2>What we understood</h2>" in text
        assert "50,000.00 USD" in text
        assert "Draft" in text

    def test_shows_nothing_that_could_run(self, as_role, proposal):
        with system_scope("tests"):
            Proposal.all_orgs.filter(pk=proposal.pk).update(
                title="<script>alert(1)</script>",
                body="<script>alert(2)</script> [x](javascript:alert(3)) ![y](x onerror=alert(4))",
            )
        response = as_role(Role.VIEWER).get(address(Proposal, "print", proposal.pk))
        text = response.content.decode()
        assert "<script" not in text
        assert 'href="javascript' not in text
        assert response["Content-Security-Policy"].startswith("default-src 'none'")

    def test_of_a_stranger_does_not_exist(self, home, abroad, as_role):
        theirs = ProposalFactory(org=abroad.org)
        assert as_role(Role.ADMIN).get(address(Proposal, "print", theirs.pk)).status_code == 404

    def test_needs_somebody_who_is_logged_in(self, client, proposal):
        response = client.get(address(Proposal, "print", proposal.pk))
        assert response.status_code == 302
        assert "/login/" in response["Location"]

    def test_is_only_read(self, as_role, proposal):
        assert as_role(Role.ADMIN).post(address(Proposal, "print", proposal.pk)).status_code == 405
