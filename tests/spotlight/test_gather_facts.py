"""Facts of signals and candidates: from whom, under which names, and whose word counts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowledger.clients.services import merge_clients, merge_contacts
from flowledger.configuration.services import set_value
from flowledger.tenancy.scope import org_scope
from spotlight.evaluation.types import Fact
from spotlight.services.facts import facts_of
from tests.spotlight.factories import CLERK, EnrichedFactFactory
from tests.workstream.factories import AT, ClientFactory, ContactFactory, SignalFactory, open_candidate
from workstream import services as workstream

DAY = timedelta(days=1)
pytestmark = pytest.mark.django_db


def facts(item: Any) -> dict[str, Fact]:
    with org_scope(item.org_id):
        kind = item._meta.model_name
        return dict(facts_of(org=item.org, item_type=kind, item_ids=[item.pk])[item.pk])


def said(item: Any, *names: str) -> list[tuple[Any, str]]:
    """Value and source of each name."""
    found = facts(item)
    return [(found[name].value, found[name].source) for name in names]


class TestOfSignals:
    def test_come_from_the_signal_its_client_its_contact_and_enrichment(self, org):
        client = ClientFactory(
            org=org,
            name="Northwind",
            domain="northwind.example",
            industry="Logistics",
            size_band="51-200",
            annual_revenue=Decimal("1200000.50"),
            country="DE",
            attributes={"ERP System": "Navision"},
        )
        contact = ContactFactory(org=org, client=client, title="Head of IT", preferences={"language": "German"})
        EnrichedFactFactory(org=org, client=client, field_name="employees", value=140)
        EnrichedFactFactory(org=org, client=None, contact=contact, field_name="seniority", value="head")
        signal = SignalFactory(
            org=org,
            client=client,
            contact=contact,
            snippet="We need a WMS",
            urgency_score=Decimal("0.7"),
            attributes={"Budget": "50k", "go-live date": "2026-09-01"},
        )

        assert said(signal, "budget", "go_live_date", "snippet", "urgency_score", "source_type") == [
            ("50k", "signal"),
            ("2026-09-01", "signal"),
            ("We need a WMS", "signal"),
            (0.7, "signal"),
            (str(signal.source_type), "signal"),
        ]
        assert said(signal, "industry", "size_band", "company_size", "annual_revenue", "country", "erp_system") == [
            ("Logistics", "client"),
            ("51-200", "client"),
            ("51-200", "client"),
            (1200000.5, "client"),
            ("DE", "client"),
            ("Navision", "client"),
        ]
        assert said(signal, "domain", "title", "job_title", "language", "employees", "seniority") == [
            ("northwind.example", "client"),
            ("Head of IT", "contact"),
            ("Head of IT", "contact"),
            ("German", "contact"),
            (140, "enrichment"),
            ("head", "enrichment"),
        ]

    def test_the_first_source_of_the_rule_counts(self, org):
        client = ClientFactory(org=org, industry="Logistics")
        EnrichedFactFactory(org=org, client=client, field_name="industry", value="Retail")
        signal = SignalFactory(org=org, client=client, attributes={"industry": "Banking"})

        assert said(signal, "industry") == [("Banking", "signal")]
        order = ["client", "enrichment", "signal", "contact"]
        set_value(
            org=org,
            rule_type="spotlight_rule",
            key="fact_precedence",
            value={"order": order},
            reason="Ours",
            actor=CLERK,
            at=AT,
        )
        assert said(signal, "industry") == [("Logistics", "client")]

    def test_what_is_blank_is_no_fact(self, org):
        client = ClientFactory(org=org, industry="Logistics")
        signal = SignalFactory(
            org=org, client=client, attributes={"industry": "  ", "sites": 0, "is_listed": False, "tags": [], "x": None}
        )

        found = facts(signal)

        assert found["industry"].value == "Logistics"
        assert (found["sites"].value, found["is_listed"].value) == (0, False)
        assert not found.keys() & {"tags", "x"}

    def test_of_several_providers_the_surest_and_then_the_newest_counts(self, org):
        client = ClientFactory(org=org)
        for name, provider, value, confidence, days in (
            ("employees", "old", 90, "0.9", 0),
            ("employees", "sure", 100, "0.9", 1),
            ("employees", "newest", 500, "0.5", 2),
            ("city", "one", "Bonn", "0.6", 0),
        ):
            EnrichedFactFactory(
                org=org,
                client=client,
                field_name=name,
                provider=provider,
                value=value,
                confidence=Decimal(confidence),
                fetched_at=AT + days * DAY,
            )
        contact = ContactFactory(org=org, client=client)
        EnrichedFactFactory(
            org=org, client=None, contact=contact, field_name="city", value="Kiel", confidence=Decimal("0.7")
        )

        signal = SignalFactory(org=org, client=client, contact=contact)

        assert said(signal, "employees", "city") == [(100, "enrichment"), ("Kiel", "enrichment")]

    def test_attributes_that_are_no_object_say_nothing(self, org):
        signal = SignalFactory(org=org, attributes=["Banking"])

        assert "banking" not in facts(signal)

    def test_a_strangers_signal_has_none(self, org, other_org):
        stranger = SignalFactory(org=other_org, attributes={"industry": "Banking"})
        with org_scope(org):
            assert facts_of(org=org, item_type="signal", item_ids=[stranger.pk]) == {}

    def test_a_constant_number_of_statements(self, org):
        signals = []
        for number in range(12):
            client = ClientFactory(org=org)
            EnrichedFactFactory(org=org, client=client, value=number)
            contact = ContactFactory(org=org, client=client)
            signals.append(SignalFactory(org=org, client=client, contact=contact))
        # The organisation's rules are read once a second.
        facts(signals[0])
        counts = []
        for group in (signals[:2], signals):
            with org_scope(org), CaptureQueriesContext(connection) as queries:
                found = facts_of(org=org, item_type="signal", item_ids=[each.pk for each in group])
            assert len(found) == len(group)
            counts.append(len(queries))

        assert counts[1] == counts[0]

    def test_follow_a_merge_of_clients_and_contacts(self, org):
        survivor, loser = ClientFactory(org=org, industry="Banking"), ClientFactory(org=org)
        EnrichedFactFactory(org=org, client=loser, field_name="employees", value=140)
        person, twin = ContactFactory(org=org, client=loser), ContactFactory(org=org, client=loser, title="CFO")
        signal = SignalFactory(org=org, client=loser, contact=twin)

        merge_clients(org=org, survivor_id=survivor.pk, loser_id=loser.pk, actor=CLERK, at=AT)
        merge_contacts(org=org, survivor_id=person.pk, loser_id=twin.pk, actor=CLERK, at=AT)

        assert said(signal, "industry", "employees", "title") == [
            ("Banking", "client"),
            (140, "enrichment"),
            ("CFO", "contact"),
        ]


class TestOfCandidates:
    def test_come_from_its_signals_the_newest_first(self, org):
        candidate = open_candidate(org)
        for days, attributes in ((0, {"budget": "10k", "city": "Bonn"}), (2, {"budget": "30k"}), (1, {"budget": 20})):
            signal = SignalFactory(org=org, ts=AT + days * DAY, attributes=attributes)
            workstream.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)

        assert said(candidate, "budget", "city") == [("30k", "signal"), ("Bonn", "signal")]

    def test_what_people_wrote_on_it_counts_before_all_else(self, org):
        client = ClientFactory(org=org, attributes={"confidence": 0.1, "budget": 7})
        candidate = open_candidate(
            org, client=client, value_band="high", estimated_value=Decimal(90_000), confidence=Decimal("0.8")
        )
        signal = SignalFactory(org=org, attributes={"value_band": "low", "confidence": 0.2})
        workstream.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)

        assert said(candidate, "value_band", "estimated_value", "confidence", "budget") == [
            ("high", "candidate"),
            (90_000, "candidate"),
            (0.8, "candidate"),
            (90_000, "candidate"),
        ]
        again = SignalFactory(org=org, attributes={"budget": "60k"})
        workstream.link_signal(org=org, signal_id=again.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
        assert said(candidate, "budget", "estimated_value") == [("60k", "signal"), (90_000, "candidate")]

    def test_another_kind_of_item_is_a_mistake_in_the_code(self, org):
        with pytest.raises(ValueError, match="not pursuit"):
            facts_of(org=org, item_type="pursuit", item_ids=[1])
