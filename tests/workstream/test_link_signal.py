"""A signal is put behind candidates, with who linked it and why."""

from __future__ import annotations

import pytest

from flowledger.errors import InvalidTransition, NotFound, PermissionRefused
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, CandidateFactory, ContactFactory, SignalFactory
from tests.workstream.trail import events_of, nothing_changes
from workstream import services
from workstream.models import Candidate, CandidateSignal, Signal

pytestmark = pytest.mark.django_db


class TestLinkSignal:
    def test_links_and_says_who_and_why(self, org, rep):
        signal, candidate = SignalFactory(org=org), CandidateFactory(org=org)
        services.link_signal(
            org=org,
            signal_id=signal.pk,
            candidate_id=candidate.pk,
            reason="Same machine",
            actor=actor_of(rep),
            at=AT,
        )

        link = CandidateSignal.all_orgs.get(candidate=candidate)
        assert (link.signal_id, link.linked_by_id, link.reason, link.linked_at) == (
            signal.pk,
            rep.user_id,
            "Same machine",
            AT,
        )
        assert Signal.all_orgs.get(pk=signal.pk).disposition == "linked"
        assert events_of(signal) == ["signal.linked"]

    def test_gives_a_candidate_without_client_and_contact_those_of_the_signal(self, org):
        contact = ContactFactory(org=org)
        signal = SignalFactory(org=org, contact=contact)
        candidate = CandidateFactory(org=org, client=None)
        services.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)

        stored = Candidate.all_orgs.get(pk=candidate.pk)
        assert (stored.client_id, stored.contact_id) == (signal.client_id, contact.pk)
        assert stored.row_version == candidate.row_version + 1

    def test_may_feed_several_candidates(self, org):
        signal = SignalFactory(org=org)
        for candidate in CandidateFactory.create_batch(2, org=org):
            services.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)

        assert events_of(signal) == ["signal.linked", "signal.linked"]

    def test_the_same_pair_again_changes_nothing(self, org):
        signal, candidate = SignalFactory(org=org), CandidateFactory(org=org)
        pair = {"org": org, "signal_id": signal.pk, "candidate_id": candidate.pk, "actor": CLERK, "at": AT}
        services.link_signal(**pair)
        with nothing_changes():
            services.link_signal(**pair)

    def test_a_rejected_signal_is_refused(self, org):
        signal, candidate = SignalFactory(org=org), CandidateFactory(org=org)
        services.reject_signal(org=org, signal_id=signal.pk, reason="Spam", actor=CLERK, at=AT)
        with nothing_changes(), pytest.raises(InvalidTransition):
            services.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)

    def test_somebody_elses_signal_or_candidate_is_refused(self, org, rep, colleague):
        mine, theirs = (
            (SignalFactory(org=org, owner=member.user), CandidateFactory(org=org, owner=member.user))
            for member in (rep, colleague)
        )
        for signal, candidate in ((mine[0], theirs[1]), (theirs[0], mine[1])):
            with nothing_changes(), pytest.raises(PermissionRefused):
                services.link_signal(
                    org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=actor_of(rep), at=AT
                )

    def test_a_strangers_rows_do_not_exist(self, org, other_org):
        here, there = ((SignalFactory(org=each), CandidateFactory(org=each)) for each in (org, other_org))
        for signal, candidate in ((here[0], there[1]), (there[0], here[1])):
            with nothing_changes(), pytest.raises(NotFound):
                services.link_signal(org=org, signal_id=signal.pk, candidate_id=candidate.pk, actor=CLERK, at=AT)

    def test_over_rest(self, org, other_org, as_rep):
        signal, candidate = SignalFactory(org=org), CandidateFactory(org=org)
        stranger = CandidateFactory(org=other_org)
        path = f"/api/signals/{signal.pk}/link"

        with nothing_changes():
            refused = as_rep.post(path, {"candidate_id": stranger.pk})
            missing = as_rep.post("/api/signals/999999/link", {"candidate_id": stranger.pk})
        assert (refused.status_code, list(refused.json()["fields"])) == (400, ["candidate_id"])
        assert missing.status_code == 404
        answer = as_rep.post(path, {"candidate_id": candidate.pk, "reason": "Same machine"})
        assert (answer.status_code, answer.json()["disposition"]) == (200, "linked")
        assert as_rep.get(f"/api/candidates/{candidate.pk}").json()["signal_ids"] == [signal.pk]


class TestUpdateSignal:
    def test_changes_the_owner_only(self, org, rep, as_rep):
        signal = SignalFactory(org=org)
        path = f"/api/signals/{signal.pk}"
        before = as_rep.get(path)
        answer = as_rep.patch(path, {"owner_user_id": rep.user_id}, content_type="application/json")

        assert (answer.status_code, answer.json()["owner_user_id"]) == (200, rep.user_id)
        assert answer["ETag"] != before["ETag"]
        with nothing_changes():
            refused = as_rep.patch(path, {"snippet": "Rewritten"}, content_type="application/json")
        assert (refused.status_code, list(refused.json()["fields"])) == (400, ["snippet"])

    def test_somebody_elses_signal_is_refused(self, org, rep, colleague, as_rep):
        signal = SignalFactory(org=org, owner=colleague.user)
        with nothing_changes():
            answer = as_rep.patch(
                f"/api/signals/{signal.pk}", {"owner_user_id": rep.user_id}, content_type="application/json"
            )
        assert answer.status_code == 403

    def test_a_stale_copy_is_refused(self, org, rep, as_rep, as_manager):
        signal = SignalFactory(org=org)
        path = f"/api/signals/{signal.pk}"
        old = as_rep.get(path)["ETag"]
        as_manager.patch(path, {"owner_user_id": rep.user_id}, content_type="application/json")
        with nothing_changes():
            answer = as_rep.patch(
                path, {"owner_user_id": None}, content_type="application/json", headers={"If-Match": old}
            )
        assert (answer.status_code, answer.json()["code"]) == (412, "stale")
