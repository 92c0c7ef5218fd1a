"""A signal is put aside with a reason and stays in the ledger."""

from __future__ import annotations

import pytest

from flowledger.errors import InvalidInput, InvalidTransition, NotFound, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, CandidateFactory, SignalFactory
from tests.workstream.trail import events_of, nothing_changes
from workstream import services
from workstream.models import Signal

pytestmark = pytest.mark.django_db


class TestRejectSignal:
    def test_keeps_the_reason_and_records_one_event(self, org):
        signal = SignalFactory(org=org)
        services.reject_signal(org=org, signal_id=signal.pk, reason=" Spam ", actor=CLERK, at=AT)

        stored = Signal.all_orgs.get(pk=signal.pk)
        assert (stored.disposition, stored.reject_reason, stored.snippet) == ("rejected", "Spam", signal.snippet)
        assert events_of(signal) == ["signal.rejected"]

    def test_needs_a_reason(self, org):
        signal = SignalFactory(org=org)
        with nothing_changes(), pytest.raises(InvalidInput):
            services.reject_signal(org=org, signal_id=signal.pk, reason="  ", actor=CLERK, at=AT)

    def test_a_linked_signal_is_refused(self, org):
        signal, candidate = SignalFactory(org=org), CandidateFactory(org=org)
        services.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)
        with nothing_changes(), pytest.raises(InvalidTransition) as refusal:
            services.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=AT)
        assert refusal.value.details["allowed_transitions"] == ["linked"]

    def test_twice_is_refused(self, org):
        signal = SignalFactory(org=org)
        services.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=AT)
        with nothing_changes(), pytest.raises(InvalidTransition) as refusal:
            services.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=AT)
        assert refusal.value.details["allowed_transitions"] == []

    def test_somebody_elses_signal_is_refused(self, org, rep, colleague):
        signal = SignalFactory(org=org, owner=colleague.user)
        with nothing_changes(), pytest.raises(PermissionRefused):
            services.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=actor_of(rep), at=AT)

    def test_a_strangers_signal_does_not_exist(self, org, other_org):
        signal = SignalFactory(org=other_org)
        with nothing_changes(), pytest.raises(NotFound):
            services.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=AT)

    def test_over_rest(self, org, as_rep, as_viewer):
        signal = SignalFactory(org=org)
        path = f"/api/signals/{signal.pk}/reject"

        with nothing_changes():
            assert as_rep.post(path, {}).status_code == 400
            assert as_viewer.post(path, {"reason": "Spam"}).status_code == 403
        answer = as_rep.post(path, {"reason": "Spam"})
        assert (answer.status_code, answer.json()["disposition"]) == (200, "rejected")
        again = as_rep.post(path, {"reason": "Spam"})
        assert (again.status_code, again.json()["allowed_transitions"]) == (422, [])
