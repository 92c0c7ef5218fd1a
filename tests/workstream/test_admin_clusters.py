"""A signal's page: who it is from in sentences, and the other signals of its buying event with one button for them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowledger.clients.admin.evidence import evidence_of
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import org_scope, system_scope
from tests.clients.pairs import suggestion
from tests.workstream.back_office import address, buttons_on, press, said, stored
from tests.workstream.factories import AT, CLERK, CandidateFactory, ClientFactory, ContactFactory, SignalFactory
from tests.workstream.trail import nothing_changes
from workstream import services
from workstream.models import CandidateSignal, Signal

PRESS = "Our press stops twice a day and we need help before the summer."


def cluster_of(org: Any, count: int = 3) -> list[Signal]:
    client = ClientFactory(org=org)
    signals = SignalFactory.create_batch(count, org=org, client=client, snippet=PRESS)
    services.cluster_signals(org=org, signal_ids=[each.pk for each in signals], actor=CLERK, at=AT)
    return signals


def linked_to(candidate: Any) -> set[int]:
    with system_scope("tests"):
        return set(CandidateSignal.all_orgs.filter(candidate=candidate).values_list("signal", flat=True))


class TestTheClusterPanel:
    def test_lists_the_others_with_likeness_and_what_they_feed(self, home, as_role):
        signals, candidate = cluster_of(home.org), CandidateFactory(org=home.org, title="Press line")
        services.link_signal(org=home.org, signal_id=signals[1].pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
        page = as_role(Role.VIEWER).get(address(Signal, "change", signals[0].pk))
        panel = page.context["cluster_panel"]

        assert panel.others == 2
        assert {line.signal.pk: line.likeness for line in panel.lines} == {
            signals[1].pk: "100 % alike",
            signals[2].pk: "100 % alike",
        }
        text = page.content.decode()
        assert "2 other signals of the same buying event" in text
        assert "Press line" in text

    def test_is_absent_where_a_signal_stands_alone(self, home, as_role):
        signal = SignalFactory(org=home.org)
        page = as_role(Role.REP).get(address(Signal, "change", signal.pk))

        assert page.context["cluster_panel"] is None
        assert "link-cluster" not in buttons_on(page)

    def test_after_linking_one_the_rest_is_offered_and_linked_by_one_button(self, home, as_role):
        signals, candidate = cluster_of(home.org), CandidateFactory(org=home.org, title="Press line")
        browser = as_role(Role.REP)
        page = press(browser, signals[0], "link", candidate=candidate.pk)
        assert "2 other signals say nearly the same" in said(page)
        assert "Link the rest (2) to Press line" in page.content.decode()

        page = press(browser, signals[0], "link-cluster", candidate=candidate.pk)
        assert "2 signals were linked." in said(page)
        assert linked_to(candidate) == {each.pk for each in signals}
        assert "Link the rest" not in page.content.decode()
        with nothing_changes():
            again = press(browser, signals[0], "link-cluster", candidate=candidate.pk)
        assert "nothing left to link" in said(again)

    def test_refusals_are_listed_and_cost_the_others_nothing(self, home, as_role):
        signals, candidate = cluster_of(home.org), CandidateFactory(org=home.org)
        services.reject_signal(org=home.org, signal_id=signals[2].pk, reason="Spam", actor=CLERK, at=AT)
        page = press(as_role(Role.REP), signals[0], "link-cluster", candidate=candidate.pk)

        assert "2 signals were linked." in said(page)
        assert "1 signal was not linked." in said(page)
        assert "cannot go from rejected to linked" in said(page)
        assert stored(signals[2])["disposition"] == "rejected"

    @pytest.mark.parametrize("candidate", ["x", "", "999999"])
    def test_a_candidate_that_is_none_is_refused_on_the_form(self, home, as_role, candidate):
        signals = cluster_of(home.org)
        with nothing_changes():
            page = press(as_role(Role.REP), signals[0], "link-cluster", candidate=candidate)
        assert page.status_code == 400

    def test_is_not_for_viewers_nor_strangers(self, home, abroad, as_role):
        mine, theirs = cluster_of(home.org), cluster_of(abroad.org)
        candidate = CandidateFactory(org=home.org)
        # The first look at a page builds its memory card.
        as_role(Role.VIEWER).get(address(Signal, "change", mine[0].pk))
        with nothing_changes():
            press(as_role(Role.VIEWER), mine[0], "link-cluster", candidate=candidate.pk)
            assert press(as_role(Role.ADMIN), theirs[0], "link-cluster", candidate=candidate.pk).status_code == 404
        assert linked_to(candidate) == set()

    def test_asks_the_same_for_few_and_many_signals(self, home, as_role):
        few, many = cluster_of(home.org, 4), cluster_of(home.org, 40)
        browser = as_role(Role.REP)
        for signals in (few, many):
            browser.get(address(Signal, "change", signals[0].pk))
        asked = []
        for signals in (few, many):
            with CaptureQueriesContext(connection) as captured:
                browser.get(address(Signal, "change", signals[0].pk))
            asked.append(len(captured))
        assert asked[0] == asked[1]


class TestWhoASignalIsFrom:
    def test_says_what_was_new_and_then_what_was_recognised(self, home, as_role):
        fields = {
            "source_type": "web_form",
            "snippet": PRESS,
            "contact_email": "ann@northwind.com",
            "contact_name": "Ann Moss",
            "company_name": "Northwind",
        }
        signals = [services.create_signal(org=home.org, fields=fields, actor=CLERK, at=AT).signal for _ in range(2)]
        browser = as_role(Role.VIEWER)
        new, known = (browser.get(address(Signal, "change", each.pk)).content.decode() for each in signals)

        assert "Nobody on record had these keys" in new
        assert "Nobody had the email address <b>ann@northwind.com</b>:" in new
        assert "Recognised by what is on record." in known
        assert "The email address <b>ann@northwind.com</b> is that of" in known
        # No raw JSON any more.
        assert "points_at" not in new + known

    def test_leads_to_the_pair_in_the_review_queue(self, home, as_role):
        pair = suggestion(home.org)
        signal = SignalFactory(org=home.org)
        with org_scope(home.org):
            Signal.objects.for_org(home.org).filter(pk=signal.pk).update(
                identity_resolution={"status": "created", "confidence_score": 1, "rules": [], "conflict_ids": [pair.pk]}
            )
        text = as_role(Role.VIEWER).get(address(Signal, "change", signal.pk)).content.decode()

        assert address(pair, "change", pair.pk) in text
        assert "May be the same: to be decided" in text

    @pytest.mark.parametrize(
        ("rule", "sentence"),
        [
            ("shared_phone", "is a line that several people share, so it does not count"),
            ("shared_mailbox", "is shared: the names differ, so it does not count"),
            ("named_in_group", "Several companies share a domain; the email address <b>a@x.example</b> is that of"),
            ("similar_contact", "is so alike that it was linked"),
            ("possible_contact", "may be the same; a person is asked"),
            ("exact_email", "The email address <b>a@x.example</b> is that of"),
            ("anything_new", "Anything new (email address <b>a@x.example</b>): "),
        ],
    )
    def test_has_a_sentence_for_every_rule(self, home, rule, sentence):
        contact = ContactFactory(org=home.org)
        points_at = {"contact_id": contact.pk, "client_id": None}
        stored_rule = {"rule": rule, "key_type": "email", "key_value": "a@x.example", "points_at": points_at}
        terms = [{"field": "name", "points": -2.25, "sentence": "The names differ."}]
        with org_scope(home.org):
            (one,) = evidence_of(home.org, [{**stored_rule, "score": 0.7, "terms": terms}])

        assert sentence in one.sentence
        assert (one.score, [(term.sentence, term.points) for term in one.terms]) == (
            "70 %",
            [("The names differ.", "-2.2")],
        )

    @pytest.mark.parametrize(
        "resolution",
        [
            {},
            {"status": "linked"},
            {"status": "odd", "rules": [None, 3, {}, {"rule": "exact_email"}], "conflict_ids": ["x", None]},
            {"status": "linked", "confidence_score": "no", "rules": [{"rule": "exact_phone", "points_at": {}}]},
        ],
    )
    def test_old_and_odd_explanations_are_shown_as_far_as_they_go(self, home, as_role, resolution):
        signal = SignalFactory(org=home.org)
        with org_scope(home.org):
            Signal.objects.for_org(home.org).filter(pk=signal.pk).update(identity_resolution=resolution)
        page = as_role(Role.VIEWER).get(address(Signal, "change", signal.pk))

        assert page.status_code == 200
        assert "Who this is from" in page.content.decode()
