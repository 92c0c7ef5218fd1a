"""Signals that are one buying event share a cluster, in whatever order and company they arrive."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.configuration.services import set_value
from flowledger.errors import PermissionRefused
from flowledger.outbox.drain import drain_all
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from tests.factories import OrganizationFactory
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, ClientFactory, ContactFactory, SignalFactory
from tests.workstream.trail import events_of, nothing_changes
from workstream import services
from workstream.models import MailMessage, MailThread, Signal, SignalCluster
from workstream.sql import clusters as sql

DAY = timedelta(days=1)
PRESS = "Our press stops twice a day and we need help before the summer."
PRESS_AGAIN = "Hello, our press stops twice a day; we need help before the summer! Best regards, Ann Moss"
STORE = "We are looking for a warehouse management system for three sites."


def cluster(org: Any, *signals: Signal, at: Any = AT) -> int:
    return services.cluster_signals(org=org, signal_ids=[each.pk for each in signals], actor=CLERK, at=at)


def clusters_of(*signals: Signal) -> list[int | None]:
    with system_scope("tests"):
        found = dict(Signal.all_orgs.values_list("pk", "cluster_id"))
    return [found[each.pk] for each in signals]


def partition(org: Organization) -> set[frozenset[int]]:
    """The signals that are together."""
    together: dict[int, set[int]] = {}
    with org_scope(org):
        for pk, cluster_id in Signal.objects.for_org(org).values_list("pk", "cluster_id"):
            if cluster_id is not None:
                together.setdefault(cluster_id, set()).add(pk)
    return {frozenset(each) for each in together.values()}


@pytest.mark.django_db
class TestClusterSignals:
    def test_near_duplicates_of_one_client_share_a_cluster(self, org):
        client = ClientFactory(org=org, name="Northwind")
        first = SignalFactory(org=org, client=client, snippet=PRESS)
        assert cluster(org, first) == 0
        again = SignalFactory(org=org, client=client, snippet=PRESS_AGAIN, ts=AT + 3 * DAY)
        other = SignalFactory(org=org, client=client, snippet=STORE, ts=AT + DAY)
        assert cluster(org, again, other) == 2

        together, same, alone = clusters_of(first, again, other)
        assert together == same
        assert together is not None
        assert alone is None
        row = SignalCluster.all_orgs.get()
        assert (row.label, row.algorithm, row.algorithm_version) == (
            "Northwind: Our press stops twice a day and we need help before the summer.",
            "hashed shingles",
            "1",
        )
        assert row.parameters == {
            "window_days": 14,
            "similarity": 0.65,
            "same_thread": True,
            "shingle": 5,
            "bits": 16_384,
        }
        assert events_of(first) == events_of(again) == ["signal.clustered"]
        assert events_of(other) == []

    def test_so_do_those_of_one_contact_whose_client_is_not_known(self, org):
        contact = ContactFactory(org=org)
        signals = [SignalFactory(org=org, client=None, contact=contact, snippet=PRESS) for _ in range(2)]
        cluster(org, *signals)

        assert len(set(clusters_of(*signals)) - {None}) == 1

    def test_those_of_others_do_not_however_alike(self, org):
        signals = [SignalFactory(org=org, snippet=PRESS) for _ in range(2)]
        nobodys = [SignalFactory(org=org, client=None, snippet=PRESS) for _ in range(2)]
        with nothing_changes():
            assert cluster(org, *signals, *nobodys) == 0

    def test_the_window_ends_after_its_last_day(self, org):
        client = ClientFactory(org=org)
        first, last, late = (
            SignalFactory(org=org, client=client, snippet=PRESS, ts=AT + lag)
            for lag in (timedelta(0), 14 * DAY, -14 * DAY - timedelta(microseconds=1))
        )
        cluster(org, first, last, late)

        assert clusters_of(first)[0] == clusters_of(last)[0] is not None
        assert clusters_of(late) == [None]

    def test_a_signal_between_two_clusters_makes_them_one_and_keeps_the_older(self, org):
        client = ClientFactory(org=org)
        early, late = (
            [SignalFactory(org=org, client=client, snippet=PRESS, ts=AT + lag * DAY) for lag in lags]
            for lags in ((0, 1), (20, 21))
        )
        cluster(org, *early)
        cluster(org, *late)
        kept, absorbed = clusters_of(early[0])[0], clusters_of(late[0])[0]
        assert kept != absorbed
        between = SignalFactory(org=org, client=client, snippet=PRESS, ts=AT + 10 * DAY)

        assert cluster(org, between) == 3
        assert set(clusters_of(*early, *late, between)) == {kept}
        assert list(SignalCluster.all_orgs.values_list("pk", flat=True)) == [kept]
        assert events_of(late[0]) == ["signal.clustered", "signal.clustered"]

    def test_the_label_is_that_of_the_earliest_signal(self, org):
        client = ClientFactory(org=org, name="Northwind")
        late = [SignalFactory(org=org, client=client, snippet=PRESS, ts=AT + DAY) for _ in range(2)]
        cluster(org, *late)
        early = SignalFactory(org=org, client=client, snippet=PRESS, problem_phrase="Press stops", ts=AT)
        cluster(org, early)

        assert SignalCluster.all_orgs.get().label == "Northwind: Press stops"

    def test_again_changes_nothing(self, org):
        client = ClientFactory(org=org)
        signals = [SignalFactory(org=org, client=client, snippet=PRESS) for _ in range(3)]
        cluster(org, *signals)
        with nothing_changes():
            assert cluster(org, *signals) == 0
            assert cluster(org) == 0

    def test_a_conversation_by_email_is_one_whatever_it_says(self, org):
        thread = MailThread.all_orgs.create(org=org)
        signals = [SignalFactory(org=org, snippet=text) for text in (PRESS, STORE)]
        for number, signal in enumerate(signals):
            MailMessage.all_orgs.create(org=org, thread=thread, message_id=f"{number}@x.example", signal=signal)
        MailMessage.all_orgs.create(org=org, thread=thread, message_id="unseen@x.example")
        cluster(org, signals[1])

        assert len(set(clusters_of(*signals)) - {None}) == 1

    def test_the_organisations_own_rule_decides(self, org):
        client = ClientFactory(org=org)
        signals = [SignalFactory(org=org, client=client, snippet=text) for text in (PRESS, PRESS)]
        late = SignalFactory(org=org, client=client, snippet=PRESS, ts=AT + 3 * DAY)
        strict = {"window_days": 2, "similarity": 1.0, "same_thread": False}
        set_value(
            org=org,
            rule_type="routing_rule",
            key="signal_clusters",
            value=strict,
            reason="Try it",
            actor=CLERK,
            at=AT,
        )
        cluster(org, *signals, late)

        assert clusters_of(late) == [None]
        assert SignalCluster.all_orgs.get().parameters["window_days"] == 2

    def test_a_strangers_signals_are_left_alone(self, org, other_org):
        client = ClientFactory(org=other_org)
        theirs = [SignalFactory(org=other_org, client=client, snippet=PRESS) for _ in range(2)]
        with nothing_changes():
            assert cluster(org, *theirs) == 0

    def test_is_not_for_viewers(self, org, viewer):
        client = ClientFactory(org=org)
        signals = [SignalFactory(org=org, client=client, snippet=PRESS) for _ in range(2)]
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.cluster_signals(org=org, signal_ids=[each.pk for each in signals], actor=actor_of(viewer), at=AT)

    def test_asks_the_database_no_more_for_more_signals(self, org):
        asked = []
        for count in (3, 60):
            clients = ClientFactory.create_batch(count, org=org)
            signals = [SignalFactory(org=org, client=client, snippet=PRESS) for client in clients for _ in range(2)]
            with counted_queries() as statements:
                cluster(org, *signals)
            asked.append(len(statements))

        assert asked[0] == asked[1] <= 16

    def test_neighbours_come_from_the_index(self, org):
        """Among many signals of one organisation only those of the client inside the window are read."""
        client = ClientFactory(org=org)
        wanted = SignalFactory(org=org, client=client, ts=AT)
        SignalFactory(org=org, client=client, ts=AT + 40 * DAY)
        SignalFactory.create_batch(5, org=org)
        span = sql.Span(client.pk, AT - DAY, AT + DAY)

        assert sql.neighbours(org_id=org.pk, party="client", spans=[span], most=10) == {wanted.pk}


@pytest.mark.django_db
class TestOlderSignals:
    def test_are_clustered_slice_by_slice(self, org):
        client = ClientFactory(org=org)
        signals = [SignalFactory(org=org, client=client, snippet=PRESS) for _ in range(5)]
        alone = SignalFactory(org=org, snippet=STORE)
        after: int | None = 0
        slices = []
        while after is not None:
            done = services.cluster_older_signals(org=org, after_id=after, limit=2, actor=CLERK, at=AT)
            slices.append((done.signals, done.clustered))
            after = done.last_id

        # The first slice finds all five; of the rest only the lone one is still in no cluster.
        assert slices == [(2, 5), (1, 0)]
        assert len(set(clusters_of(*signals))) == 1
        assert clusters_of(alone) == [None]

    def test_by_the_command_in_every_organisation_or_one(self, org, other_org):
        for each in (org, other_org):
            client = ClientFactory(org=each)
            SignalFactory.create_batch(3, org=each, client=client, snippet=PRESS)
        answer = StringIO()
        call_command("clusters", "backfill", "--org", str(org.pk), "--json", stdout=answer)
        assert json.loads(answer.getvalue()) == {"organizations": 1, "signals": 3, "clustered": 3, "failed": []}
        assert len(partition(org)) == 1
        assert partition(other_org) == set()

        answer = StringIO()
        call_command("clusters", "backfill", stdout=answer)
        assert "3 are in another cluster now" in answer.getvalue()
        assert len(partition(other_org)) == 1
        with nothing_changes():
            call_command("clusters", "backfill", stdout=StringIO())

    def test_the_command_names_an_organisation_that_is_none(self, db):
        with pytest.raises(CommandError, match="There is no organisation 999"):
            call_command("clusters", "backfill", "--org", "999")


@pytest.mark.django_db
class TestHandler:
    def test_clusters_what_comes_in(self, org):
        for number in range(2):
            fields = {"source_type": "web_form", "company_domain": "northwind.com", "snippet": PRESS}
            services.create_signal(org=org, fields=fields, actor=CLERK, at=AT + number * DAY)
        drain_all()

        assert len(partition(org)) == 1


WORDS = ("press", "stops", "twice", "daily", "pallet", "store", "robot", "quote", "urgent", "summer", "line", "trucks")


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[dict[str, Any]], int]:
    """Signals of few senders with few texts over some weeks, and a seed for their orders."""
    texts = draw(
        st.lists(
            st.lists(st.sampled_from(WORDS), min_size=3, max_size=9).map(" ".join), min_size=1, max_size=3, unique=True
        )
    )
    signs = st.fixed_dictionaries(
        {
            "client": st.integers(0, 1) | st.none(),
            "contact": st.integers(0, 1) | st.none(),
            "thread": st.integers(0, 1) | st.none(),
            "day": st.integers(0, 40),
            "text": st.sampled_from(texts),
            "more": st.sampled_from(["", " please", " Best regards, Ann"]),
        }
    )
    return draw(st.lists(signs, min_size=2, max_size=9)), draw(st.integers(0, 2**16))


@pytest.mark.django_db
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(arrivals())
def test_neither_order_nor_company_of_arrival_changes_the_clusters(db, given_arrivals):
    """The same signals in three orders and parcels, in an organisation each: the same clusters."""
    signs, seed = given_arrivals
    chance = random.Random(seed)
    outcomes = []
    with system_scope("tests"):
        for _ in range(3):
            org = OrganizationFactory()
            clients, contacts = ClientFactory.create_batch(2, org=org), ContactFactory.create_batch(2, org=org)
            threads = [MailThread.all_orgs.create(org=org) for _ in range(2)]
            rows: dict[int, int] = {}
            waiting = list(enumerate(signs))
            chance.shuffle(waiting)
            while waiting:
                parcel = [waiting.pop() for _ in range(min(len(waiting), chance.randint(1, 4)))]
                made = []
                for place, sign in parcel:
                    signal = SignalFactory(
                        org=org,
                        client=None if sign["client"] is None else clients[sign["client"]],
                        contact=None if sign["contact"] is None else contacts[sign["contact"]],
                        ts=AT + sign["day"] * DAY,
                        snippet=sign["text"] + sign["more"],
                    )
                    if sign["thread"] is not None:
                        MailMessage.all_orgs.create(
                            org=org, thread=threads[sign["thread"]], message_id=f"{signal.pk}@x.example", signal=signal
                        )
                    rows[signal.pk] = place
                    made.append(signal)
                cluster(org, *made)
            together: dict[int, set[int]] = {}
            for pk, cluster_id in Signal.all_orgs.filter(org=org).values_list("pk", "cluster_id"):
                if cluster_id is not None:
                    together.setdefault(cluster_id, set()).add(rows[pk])
            outcomes.append({frozenset(each) for each in together.values()})
            assert all(len(each) > 1 for each in outcomes[-1])
            assert SignalCluster.all_orgs.filter(org=org).count() == len(together)

    assert outcomes[0] == outcomes[1] == outcomes[2]
