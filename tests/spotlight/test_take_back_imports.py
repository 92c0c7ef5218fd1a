"""What an import brought can be taken back though it was scored; what people decided about keeps it."""

from __future__ import annotations

import pytest

from flowledger.clients.models import Client
from flowledger.clients.services import delete_client
from flowledger.outbox.drain import drain_all
from spotlight.models import EnrichedFact, RescoreRun, RoutedSignal, SpotlightFit, SpotlightScore, SpotlightScoreChange
from spotlight.services import store_facts
from tests.factories import ClientFactory
from tests.spotlight.factories import ScoreOverrideFactory, open_spotlight, wish
from tests.spotlight.rescoring import start
from tests.workstream.csv_imports import AT, CLERK, imported, kept, text_of, undone
from workstream.models import Signal

pytestmark = pytest.mark.django_db
BODY = text_of(["Email", "Message"], [["ann@acme.example", "Hello"], ["bob@beta.example", "Hi"]])
OF_SIGNALS = (SpotlightScore, SpotlightScoreChange, SpotlightFit, RoutedSignal)


@pytest.fixture(autouse=True)
def no_wake(settings):
    settings.OUTBOX_WAKE = False


def test_scored_and_routed_signals_go_with_their_scores(org):
    # Nobody meets it, so that nothing is opened.
    open_spotlight(org, (wish("source_type", "=", "email", field_type="text"),))
    run = imported(org, BODY, fires_rules=True)
    drain_all()
    assert [model.all_orgs.filter(org=org).count() for model in OF_SIGNALS] == [2, 0, 2, 2]
    taken = undone(org, run)
    assert (taken.status, kept(org, run)) == ("undone", [])
    assert not Signal.all_orgs.filter(org=org).exists()
    assert [model.all_orgs.filter(org=org).count() for model in OF_SIGNALS] == [0, 0, 0, 0]


def test_a_score_that_a_person_set_keeps_its_signal(org):
    spotlight = open_spotlight(org, (wish("source_type", "=", "email", field_type="text"),))
    run = imported(org, BODY)
    drain_all()
    mine, _ = Signal.all_orgs.filter(org=org).order_by("pk")
    ScoreOverrideFactory(org=org, signal=mine, spotlight=spotlight)
    undone(org, run)
    assert ("workstream.signal", mine.pk, "It is named by 1 score override.") in kept(org, run)
    assert list(Signal.all_orgs.filter(org=org)) == [mine]
    assert list(SpotlightScore.all_orgs.filter(org=org).values_list("signal_id", flat=True)) == [mine.pk]


def test_an_enriched_client_of_an_import_goes_with_what_is_known_of_it(org):
    body = text_of(["Company", "Industry"], [["Acme", "Banking"]])
    run = imported(org, body, kind="clients")
    client = Client.all_orgs.get(org=org)
    store_facts(org=org, client_id=client.pk, provider="Register", facts={"employees": 9}, actor=CLERK, at=AT)
    assert (undone(org, run).status, kept(org, run)) == ("undone", [])
    assert not Client.all_orgs.filter(org=org).exists()
    assert not EnrichedFact.all_orgs.filter(org=org).exists()


def test_a_client_is_deleted_with_its_facts_and_re_scores(org):
    client = ClientFactory(org=org)
    store_facts(org=org, client_id=client.pk, provider="Register", facts={"employees": 9}, actor=CLERK, at=AT)
    start(org, client=client, cause="client")
    delete_client(org=org, client_id=client.pk, actor=CLERK, at=AT)
    assert not Client.all_orgs.filter(pk=client.pk).exists()
    assert not EnrichedFact.all_orgs.filter(org=org).exists()
    assert not RescoreRun.all_orgs.filter(org=org).exists()
