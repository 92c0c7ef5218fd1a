"""From a POST to a candidate by real workers: within seconds, once, also when a worker dies over it."""

from collections import Counter

import pytest

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from spotlight.models import RoutedSignal
from tests.client import ApiClient, bearer
from tests.factories import MembershipFactory
from tests.faults.processes import wait_for
from tests.spotlight.factories import open_spotlight, wish
from workstream.models import Candidate, CandidateSignal

pytestmark = pytest.mark.django_db(transaction=True)

SENDERS = 12
BANK = {"industry": "Banking"}


@pytest.fixture
def client(ledger, settings):
    settings.API_THROTTLES = dict.fromkeys(settings.API_THROTTLES, 0)
    with system_scope("tests"):
        open_spotlight(ledger.org, [wish("industry", "=", "Banking", field_type="text")], name="Banks")
        return ApiClient(bearer(MembershipFactory(org=ledger.org, role=Role.REP)))


def count(model, **wanted):
    with system_scope("tests"):
        return model.all_orgs.filter(**wanted).count()


def is_drained():
    return not count(WorkEvent, processed_at__isnull=True)


def post(client, sender, number, **attributes):
    answer = client.post(
        "/api/signals",
        {
            "source_type": "web_form",
            "dedupe_key": f"{sender}-{number}",
            "snippet": f"Question {number} about the core system of branch {sender}",
            "contact_email": f"ann@bank{sender}.example",
            "attributes": attributes,
        },
    )
    assert answer.status_code in {200, 201}, answer.content
    return answer.json()["signal_id"]


def test_a_high_match_is_a_prioritised_candidate_within_seconds(fleet, client):
    fleet.worker().wait_until_up()
    wait_for("the events of the profile", is_drained)
    signal_id = post(client, 1, 1, **BANK)
    wait_for("the candidate", lambda: count(CandidateSignal, signal=signal_id), seconds=20)
    wait_for("the rest", is_drained)
    with system_scope("tests"):
        candidate = Candidate.all_orgs.get()
        assert (candidate.status, float(candidate.icp_score), candidate.icp_band) == ("triaged", 1.0, "high")
        assert candidate.next_step == "Contact the sender"
        assert candidate.next_step_due is not None
        assert RoutedSignal.all_orgs.get().candidate_id == candidate.pk


def test_nothing_is_doubled_or_lost_when_a_worker_dies(fleet, ledger, client):
    worker = fleet.worker()
    worker.wait_until_up()
    for number in (1, 2, 2):
        for sender in range(SENDERS):
            post(client, sender, number, **BANK)
    poor = [post(client, 100 + number, 1, industry="Farming") for number in range(4)]
    wait_for("some candidates", lambda: count(Candidate) >= 2)
    worker.kill()
    fleet.worker().wait_until_up()
    wait_for("the end", is_drained)
    with system_scope("tests"):
        links = Counter(CandidateSignal.all_orgs.values_list("candidate_id", flat=True))
        # Two signals of each sender behind one candidate each.
        assert sorted(links.values()) == [2] * SENDERS
        assert count(Candidate) == SENDERS
        actions = Counter(RoutedSignal.all_orgs.values_list("action", flat=True))
        assert actions == {"candidate": 2 * SENDERS, "none": len(poor)}
        assert WorkEvent.all_orgs.filter(event_name="spotlight.routed").count() == 2 * SENDERS + len(poor)
        assert not WorkEvent.all_orgs.filter(dead_letter_at__isnull=False).exists()
