"""Who is told of warnings and breaches, once, and what email comes of it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from flowledger.configuration import services as configuration
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import OutgoingEmail
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Membership
from flowledger.tenancy.scope import org_scope, system_scope
from tests.workstream.conftest import actor_of
from tests.workstream.due_clocks import AT, HOUR, clock_of, rule_of, soft_clock_of
from tests.workstream.factories import CLERK, CandidateFactory, PursuitFactory, SignalFactory
from tests.workstream.trail import at_once, nothing_changes
from workstream import services
from workstream.events import SlaBreached
from workstream.models import Notification, NotificationPreference, SlaBreach, SlaClock
from workstream.models.notifications import EmailMode
from workstream.services import sla_notices
from workstream.services.notification_emails import EmailRound, send_due_notification_emails
from workstream.services.sla_sweep import sweep

pytestmark = pytest.mark.django_db
INSTANT = timedelta(microseconds=1)
SOON = AT + timedelta(minutes=1)


@pytest.fixture
def rule(org: Any) -> Any:
    return rule_of(org)


@pytest.fixture
def chief(org: Any, member_of: Any) -> Membership:
    return member_of(org, Role.ADMIN, username="ada", email="ada@harbour.example")


def late(rule: Any, owner: Membership | None, title: str = "Press line", **fields: Any) -> SlaClock:
    """A clock of a candidate whose time is over at AT."""
    item = CandidateFactory(org=rule.org, owner=owner.user if owner else None, title=title)
    return clock_of(rule, item, due_at=AT, **fields)


def swept(at: datetime = AT) -> None:
    """Sweep just after a moment and deliver, in this thread."""
    sweep(at=at + INSTANT)
    drain_all()


def told(**which: Any) -> dict[str, list[str]]:
    """Titles by user name, in order."""
    found: dict[str, list[str]] = {}
    for row in Notification.all_orgs.filter(**which).select_related("user").order_by("pk"):
        found.setdefault(row.user.username, []).append(row.title)
    return found


def mails() -> list[tuple[list[str], str]]:
    return list(OutgoingEmail.all_orgs.order_by("pk").values_list("to", "subject"))


def prefer(member: Membership, **fields: Any) -> NotificationPreference:
    row: NotificationPreference = NotificationPreference.all_orgs.create(org=member.org, user=member.user, **fields)
    return row


class TestAudience:
    def test_owner_and_managers_hear_of_a_warning_and_of_a_breach(self, rule, rep, colleague, manager, chief):
        clock = late(rule, rep)
        swept(AT - HOUR)

        both = {"rita": ["Triage due soon: Press line"], "maria": ["Triage due soon: Press line"]}
        assert told() == both
        swept()
        assert told(kind="sla.breached") == {"rita": ["Untouched: Press line"], "maria": ["Untouched: Press line"]}
        row = Notification.all_orgs.filter(kind="sla.breached").order_by("pk")[0]
        assert (row.item_type, row.item_id, row.happened_at) == ("candidate", clock.candidate_id, AT)
        assert row.body == "The candidate should have been dealt with by 4 March 2026, 12:00 (UTC)."

    def test_signals_and_pursuits_have_owners_too(self, org, rep):
        signal = SignalFactory(org=org, owner=rep.user, snippet="Need a press")
        pursuit = PursuitFactory(org=org, owner=rep.user, title="Big press")
        clock_of(rule_of(org, "triage_sla", "signal"), signal, due_at=AT)
        clock_of(rule_of(org, "response_sla", "pursuit"), pursuit, due_at=AT)
        swept()

        assert set(told()["rita"]) == {"Untouched: Web form: Need a press", "Response overdue: Big press"}

    def test_an_owner_who_manages_is_told_once(self, rule, manager):
        late(rule, manager)
        swept()

        assert told() == {"maria": ["Untouched: Press line"]}

    def test_administrators_hear_what_has_nobody_else(self, rule, chief, rep):
        late(rule, None)
        swept()

        assert told() == {"ada": ["Untouched: Press line"]}

    def test_who_has_left_hears_nothing(self, rule, rep, manager):
        Membership.all_orgs.filter(pk=rep.pk).update(is_active=False)
        late(rule, rep)
        swept()

        assert set(told()) == {"maria"}

    def test_other_organisations_hear_nothing(self, rule, rep, other_org, member_of):
        member_of(other_org, Role.MANAGER, username="stranger")
        late(rule, rep)
        swept()

        assert set(told()) == {"rita"}

    def test_the_registry_says_who_is_told_of_what(self, org, rule, rep, manager, chief):
        nobody = {"owner": False, "managers": False, "admins": False, "email": True}
        value = {"warned": nobody, "breached": {**nobody, "admins": True}}
        configuration.set_value(
            org=org, rule_type="notification_rule", key="sla", value=value, reason="Tests", actor=CLERK, at=AT
        )
        late(rule, rep)
        swept(AT - HOUR)
        swept()

        assert told() == {"ada": ["Untouched: Press line"]}

    @pytest.mark.parametrize(("metric", "title"), [("touch", "Untouched for long"), ("due_date", "Past its due date")])
    def test_items_that_merely_turn_amber_are_told_of_where_the_registry_says_so(self, org, rep, metric, title):
        soft_clock_of(PursuitFactory(org=org, owner=rep.user, title="Big press"), metric=metric)
        swept()
        assert told() == {}

        configuration.set_value(
            org=org,
            rule_type="notification_rule",
            key="sla",
            value={"metrics": [metric]},
            reason="Tests",
            actor=CLERK,
            at=AT,
        )
        soft_clock_of(PursuitFactory(org=org, owner=rep.user, title="Big press"), metric=metric)
        swept()
        assert told() == {"rita": [f"{title}: Big press"]}

    def test_imported_history_tells_nobody(self, org, rule, rep):
        clock = late(rule, rep, breached_at=AT)
        breach = SlaBreach.all_orgs.create(
            org=org,
            clock=clock,
            rule=rule,
            candidate=clock.candidate,
            metric="triage_sla",
            reason_code="untouched",
            breached_at=AT,
        )
        fact = SlaBreached("candidate", clock.candidate_id, breach.pk, clock.pk, rule.pk, "triage_sla", "untouched", "")
        record_event(org=org, event=fact, actor=Actor.importer(), at=AT)
        drain_all()
        assert told() == {}

        record_event(org=org, event=fact, actor=CLERK, at=AT)
        drain_all()
        assert set(told()) == {"rita"}


class TestNews:
    def test_a_warning_is_none_once_the_clock_has_stopped_breached_or_begun_anew(self, rule, rep):
        warned = {"warned_at": AT - HOUR}
        for state in ({**warned, "stopped_at": AT, "outcome": "met"}, {**warned, "breached_at": AT}, {}):
            clock = late(rule, rep, **state)
            with nothing_changes(), org_scope(rule.org):
                sla_notices.tell_of_warning(org=rule.org, clock_id=clock.pk, at=AT)

    def test_a_clock_that_begins_anew_warns_anew(self, org, rep):
        value = {"metrics": ["touch"]}
        configuration.set_value(
            org=org, rule_type="notification_rule", key="sla", value=value, reason="Tests", actor=CLERK, at=AT
        )
        clock = soft_clock_of(PursuitFactory(org=org, owner=rep.user, title="Big press"))
        swept()
        SlaClock.all_orgs.filter(pk=clock.pk).update(started_at=AT, warn_at=AT + 72 * HOUR, warned_at=None)
        swept(AT + 71 * HOUR)
        assert told() == {"rita": ["Untouched for long: Big press"]}

        swept(AT + 72 * HOUR)
        assert told() == {"rita": ["Untouched for long: Big press"] * 2}

    def test_a_breach_that_is_over_when_it_is_told_is_not_emailed(self, rule, rep):
        late(rule, rep)
        sweep(at=AT + INSTANT)
        SlaBreach.all_orgs.update(resolved_at=AT + HOUR)
        drain_all()

        row = Notification.all_orgs.get()
        assert row.email_due_at is None
        assert row.body.endswith(" It was at 4 March 2026, 13:00 (UTC).")


class TestOnce:
    def test_telling_again_tells_nobody(self, rule, rep, manager):
        late(rule, rep)
        swept()
        breach = SlaBreach.all_orgs.get()

        with nothing_changes(), org_scope(rule.org):
            sla_notices.tell_of_breach(org=rule.org, breach_id=breach.pk, at=AT + HOUR)

    @pytest.mark.django_db(transaction=True)
    def test_eight_tellers_at_once_tell_everybody_once(self, transactional_db, org, rep, manager):
        with system_scope("tests"):
            rule = rule_of(org)
            late(rule, rep)
        sweep(at=AT + INSTANT)
        with system_scope("tests"):
            breach = SlaBreach.all_orgs.get()

        def tell() -> None:
            with org_scope(rule.org):
                sla_notices.tell_of_breach(org=rule.org, breach_id=breach.pk, at=AT)

        assert at_once(*[tell] * 8) == [None] * 8
        with system_scope("tests"):
            assert told() == {"rita": ["Untouched: Press line"], "maria": ["Untouched: Press line"]}

    @pytest.mark.django_db(transaction=True)
    def test_eight_workers_at_once_email_everybody_once(self, transactional_db, org, rep, manager):
        with system_scope("tests"):
            rule = rule_of(org)
            for number in range(20):
                late(rule, rep, title=f"Lead {number}")
        sweep(at=AT + INSTANT)
        drain_all()

        rounds = at_once(*[lambda: send_due_notification_emails(at=SOON)] * 8)
        assert all(isinstance(each, EmailRound) and not each.failed for each in rounds), rounds
        with system_scope("tests"):
            messages = list(OutgoingEmail.all_orgs.order_by("to"))
            assert [message.to for message in messages] == [["maria@harbour.example"], ["rita@harbour.example"]]
            assert all(message.body.count("Untouched: Lead") == 20 for message in messages)
            assert not Notification.all_orgs.filter(emailed_at__isnull=True).exists()


class TestEmail:
    def test_goes_out_at_once_without_a_preference(self, rule, rep):
        late(rule, rep)
        swept()

        assert send_due_notification_emails(at=SOON) == EmailRound(queued=1)
        assert mails() == [(["rita@harbour.example"], "Untouched: Press line")]
        body = OutgoingEmail.all_orgs.get().body
        assert "The candidate should have been dealt with by 4 March 2026, 12:00 (UTC)." in body
        with nothing_changes():
            assert send_due_notification_emails(at=AT + HOUR) == EmailRound()

    def test_carries_all_that_is_due_for_one_person(self, rule, rep, manager):
        for number in range(3):
            late(rule, rep, title=f"Lead {number}")
        swept()

        assert send_due_notification_emails(at=SOON) == EmailRound(queued=2)
        assert mails() == [
            (["rita@harbour.example"], "3 items need attention"),
            (["maria@harbour.example"], "3 items need attention"),
        ]

    def test_names_a_flood_by_its_number(self, rule, rep):
        for number in range(53):
            late(rule, rep, title=f"Lead {number}")
        swept()
        send_due_notification_emails(at=SOON)

        message = OutgoingEmail.all_orgs.get()
        assert message.subject == "53 items need attention"
        assert (message.body.count("Untouched: Lead"), "… and 3 more." in message.body) == (50, True)

    def test_off_means_in_the_back_office_only(self, rule, rep):
        prefer(rep, email_mode=EmailMode.OFF)
        late(rule, rep)
        swept()

        assert send_due_notification_emails(at=AT + 100 * HOUR) == EmailRound()
        assert (told(), mails()) == ({"rita": ["Untouched: Press line"]}, [])

    def test_a_digest_gathers_a_day(self, rule, rep):
        prefer(rep, email_mode=EmailMode.DIGEST, digest_time=time(8), timezone="Europe/Berlin")
        late(rule, rep, title="Lead 1")
        swept()
        clock_of(rule, CandidateFactory(org=rule.org, owner=rep.user, title="Lead 2"), due_at=AT + 3 * HOUR)
        swept(AT + 3 * HOUR)
        morning = datetime(2026, 3, 5, 7, tzinfo=UTC)

        assert send_due_notification_emails(at=morning - timedelta(microseconds=1)) == EmailRound()
        assert send_due_notification_emails(at=morning) == EmailRound(queued=1)
        assert mails() == [(["rita@harbour.example"], "2 items need attention")]

    def test_quiet_hours_postpone_it_to_their_end(self, rule, rep):
        prefer(rep, quiet_from=time(11), quiet_to=time(6), timezone="UTC")
        late(rule, rep)
        swept()
        end = datetime(2026, 3, 5, 6, tzinfo=UTC)

        assert send_due_notification_emails(at=end - timedelta(microseconds=1)) == EmailRound()
        assert send_due_notification_emails(at=end) == EmailRound(queued=1)

    def test_a_late_worker_wakes_nobody(self, rule, rep):
        prefer(rep, quiet_from=time(22), quiet_to=time(6), timezone="UTC")
        late(rule, rep)
        swept()
        late_at = datetime(2026, 3, 4, 23, tzinfo=UTC)

        assert send_due_notification_emails(at=late_at) == EmailRound()
        assert Notification.all_orgs.get().email_due_at == datetime(2026, 3, 5, 6, tzinfo=UTC)
        assert send_due_notification_emails(at=datetime(2026, 3, 5, 6, tzinfo=UTC)) == EmailRound(queued=1)

    def test_mentions_at_its_end_what_was_resolved_in_the_meantime(self, rule, rep):
        prefer(rep, email_mode=EmailMode.DIGEST)
        clock = late(rule, rep, title="Lead 1")
        late(rule, rep, title="Lead 2")
        swept()
        SlaBreach.all_orgs.filter(clock=clock).update(resolved_at=AT + HOUR)
        send_due_notification_emails(at=AT + 24 * HOUR)

        message = OutgoingEmail.all_orgs.get()
        assert message.subject == "Untouched: Lead 2"
        standing, resolved = message.body.split("Resolved in the meantime:")
        assert ("Lead 2" in standing, "Lead 1" in standing, "Untouched: Lead 1" in resolved) == (True, False, True)
        assert "Resolved in the meantime" in message.html

    def test_is_dropped_when_nothing_in_it_stands_any_more(self, rule, rep):
        prefer(rep, email_mode=EmailMode.DIGEST)
        late(rule, rep)
        swept()
        SlaBreach.all_orgs.update(resolved_at=AT + HOUR)

        assert send_due_notification_emails(at=AT + 24 * HOUR) == EmailRound()
        row = Notification.all_orgs.get()
        assert (mails(), row.email_due_at, row.emailed_at) == ([], None, None)

    def test_leaves_out_a_warning_of_what_has_come(self, rule, rep):
        prefer(rep, email_mode=EmailMode.DIGEST)
        late(rule, rep)
        swept(AT - HOUR)
        swept()
        send_due_notification_emails(at=AT + 24 * HOUR)

        assert mails() == [(["rita@harbour.example"], "Untouched: Press line")]
        assert "due soon" not in OutgoingEmail.all_orgs.get().body

    def test_leaves_out_what_the_person_has_read(self, rule, rep):
        late(rule, rep)
        swept()
        key = Notification.all_orgs.get().pk
        services.mark_notification_read(org=rule.org, notification_id=key, actor=actor_of(rep), at=AT)

        assert send_due_notification_emails(at=SOON) == EmailRound()

    def test_does_not_go_to_who_has_left_since(self, rule, rep):
        prefer(rep, email_mode=EmailMode.DIGEST)
        late(rule, rep)
        swept()
        Membership.all_orgs.filter(pk=rep.pk).update(is_active=False)

        assert send_due_notification_emails(at=AT + 24 * HOUR) == EmailRound()
        assert Notification.all_orgs.get().email_due_at is None

    def test_one_impossible_address_holds_up_nobody(self, rule, rep, manager):
        rep.user.email = "rita at harbour"
        rep.user.save()
        late(rule, rep)
        swept()

        assert send_due_notification_emails(at=SOON) == EmailRound(queued=1)
        assert mails() == [(["maria@harbour.example"], "Untouched: Press line")]
        assert not Notification.all_orgs.due_by_email(at=AT).exists()

    def test_the_registry_can_keep_everything_in_the_back_office(self, org, rule, rep):
        value = {"breached": {"email": False}}
        configuration.set_value(
            org=org, rule_type="notification_rule", key="sla", value=value, reason="Tests", actor=CLERK, at=AT
        )
        late(rule, rep)
        swept()

        assert (told(), send_due_notification_emails(at=SOON)) == ({"rita": ["Untouched: Press line"]}, EmailRound())
