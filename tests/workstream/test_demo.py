"""The demonstration: an invented company in every state that emails nobody, and the main job played on a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from flowledger.clients.models import Client, Contact
from flowledger.errors import InvalidInput, Unavailable
from flowledger.outbox.drain import drain_all
from flowledger.outbox.models import OutgoingEmail, WorkEvent
from flowledger.outbox.registry import Delivery, handler, only_handlers_registered_inside
from flowledger.tenancy.actors import Origin, Role
from flowledger.tenancy.models import Membership, Organization, User
from tests.workstream.conftest import actor_of
from tests.workstream.trail import emails_to, nothing_changes
from workstream.demo import words
from workstream.demo.organization import LOGINS, PASSWORD
from workstream.demo.playing import SIGNALS, Step, play
from workstream.demo.stories import invent
from workstream.machines import CandidateStatus, ProposalStatus, PursuitStage, SignalDisposition, TaskStatus
from workstream.models import (
    Candidate,
    ChecklistItem,
    Engagement,
    GateCheck,
    Proposal,
    Pursuit,
    Signal,
    SignalDelivery,
    StageHistory,
    Tag,
    Task,
)


def states(model: type, field: str, org: Organization) -> set[str]:
    return set(model.all_orgs.filter(org=org).values_list(field, flat=True))


class TestStories:
    def test_are_the_same_for_the_same_seed(self):
        assert invent() == invent()
        assert invent(seed=1) != invent(seed=2)

    def test_write_to_nobody_who_exists(self):
        assert all(person.email.endswith(".example") for person in invent().people)


@pytest.mark.usefixtures("db", "crossing")
class TestDemoOrganization:
    def test_has_data_in_every_state_emails_nobody_and_stays_as_it_is(self, client, no_limits, capsys):
        call_command("demo_org")
        assert f"log in as demo-admin     password {PASSWORD}" in capsys.readouterr().out
        at, org = now(), Organization.objects.get(name=words.ORGANIZATION)
        drain_all()

        # What merging leaves behind has no service yet.
        assert states(Signal, "disposition", org) == set(SignalDisposition) - {"duplicate", "merged"}
        assert states(Candidate, "status", org) == set(CandidateStatus)
        assert states(Pursuit, "stage", org) == set(PursuitStage)
        assert states(Proposal, "status", org) == set(ProposalStatus)
        assert states(Task, "status", org) == set(TaskStatus)
        assert SignalDelivery.all_orgs.filter(org=org, is_repeat=True).exists()
        assert ChecklistItem.all_orgs.filter(org=org, waived_at__isnull=False).exists()
        assert Proposal.all_orgs.filter(org=org, version=2).exists()
        assert Tag.all_orgs.filter(org=org).count() == len(words.TAGS)
        assert Client.all_orgs.filter(org=org).count() > 20
        assert Contact.all_orgs.filter(org=org).count() > 30
        won = Pursuit.all_orgs.filter(org=org, stage="won")
        assert set(Engagement.all_orgs.filter(org=org).values_list("pursuit", flat=True)) == set(
            won.values_list("pk", flat=True)
        )
        assert set(won.values_list("gate_checks__passed", flat=True)) == {True}
        assert GateCheck.all_orgs.filter(org=org, gate="lost").exists()
        assert OutgoingEmail.all_orgs.count() == 0
        events = WorkEvent.all_orgs.filter(org=org)
        assert set(events.values_list("origin", flat=True)) == {Origin.IMPORT}
        assert events.filter(processed_at=None).count() == 0
        assert not StageHistory.all_orgs.filter(org=org, entered_at__gt=at).exists()
        assert StageHistory.all_orgs.filter(org=org, entered_at__lt=at.replace(year=at.year - 1)).count() == 0
        self._opens_for_every_role(org, client)
        self._keeps_everything_when_run_again(capsys)

    def _opens_for_every_role(self, org, client):
        assert org.is_demo
        roles = dict(Membership.all_orgs.filter(org=org).values_list("user__username", "role"))
        assert roles == {login.username: login.role.value for login in LOGINS}
        assert set(roles.values()) == set(Role.values)
        assert all(client.login(username=login.username, password=PASSWORD) for login in LOGINS)

    def _keeps_everything_when_run_again(self, capsys):
        Candidate.all_orgs.filter(status="new").update(title="Mine now")
        User.objects.filter(username="demo-rep").update(first_name="Renamed")
        with nothing_changes():
            call_command("demo_org")
        assert "as you left it" in capsys.readouterr().out
        assert User.objects.get(username="demo-rep").first_name == "Renamed"

    def test_takes_no_other_organisation_over(self):
        Organization.objects.create(name=words.ORGANIZATION)
        with nothing_changes(), pytest.raises(CommandError, match="no demonstration"):
            call_command("demo_org")
        assert not User.objects.filter(username="demo-admin").exists()

    @pytest.mark.parametrize("command", ["demo_org", "demo"])
    def test_is_not_made_in_production(self, settings, command):
        settings.PRODUCTION = True
        with nothing_changes(), pytest.raises(CommandError, match="--force"):
            call_command(command)
        assert not Organization.objects.filter(name=words.ORGANIZATION).exists()


def play_file(org: Organization, rep: Membership, path: Path, run: str = "") -> list[Step]:
    return list(play(org=org, path=path, rep=actor_of(rep), run=run, clock=now))


@pytest.mark.usefixtures("db", "crossing")
class TestDemo:
    def test_plays_the_main_job_and_says_how_long_each_step_took(self, org, rep):
        steps = play_file(org, rep, SIGNALS)

        assert [step.name for step in steps] == [
            "ingest",
            "identity",
            "handlers",
            "score",
            "candidate",
            "triage",
            "promote",
            "handlers",
            "pink review",
            "red review",
            "proposal",
            "submit",
            "handlers",
            "won",
            "handlers",
            "memory card",
            "email",
        ]
        assert steps[0].happened == "8 signals from demo_signals.csv, 1 repeated deliveries recognised"
        untimed = {step.name for step in steps if step.seconds is None}
        assert untimed == {"identity", "score", "email"}
        pursuit = Pursuit.all_orgs.get(org=org)
        assert (pursuit.stage, pursuit.client.name, pursuit.owner) == ("won", "Harrowmill Beverages", rep.user)
        assert pursuit.candidate.signals.count() == 3
        proposal = Proposal.all_orgs.get(pursuit=pursuit)
        assert (proposal.status, proposal.recipients) == ("sent", ["marguerite.ashdown@harrowmill.example"])
        assert Task.all_orgs.filter(engagement=Engagement.all_orgs.get(pursuit=pursuit)).count() == 4
        assert emails_to(org) == [["marguerite.ashdown@harrowmill.example"], [rep.user.email], [rep.user.email]]

    def test_plays_its_own_file_again_and_again(self, org, rep):
        play_file(org, rep, SIGNALS, run="one")
        play_file(org, rep, SIGNALS, run="two")
        assert Pursuit.all_orgs.filter(client__name="Harrowmill Beverages", stage="won").count() == 2
        assert Client.all_orgs.filter(name="Harrowmill Beverages").count() == 1

    def test_plays_a_file_of_ones_own_once(self, org, rep, tmp_path):
        own = tmp_path / "own.csv"
        own.write_text(
            "source_type,source_ref,snippet,contact_email,urgency_score\n"
            "email,1,Need a meter,ada@lighthouse.example,0.4\n"
            "email,2,Need two meters,ada@lighthouse.example,0.9\n"
        )
        play_file(org, rep, own)
        assert Signal.all_orgs.filter(dedupe_key__in=["email:1", "email:2"], disposition="linked").count() == 2
        refused = pytest.raises(InvalidInput, match=r"own\.csv brings no new signal: 2 were known")
        with nothing_changes(apart_from=(SignalDelivery, WorkEvent)), refused:
            play_file(org, rep, own)

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            ("name,mail\nAda,ada@x.example\n", "is no file of signals"),
            ("source_type,snippet\npigeon,Hello\n", r"own\.csv:2: 'pigeon' is no channel"),
            ("source_type,snippet,urgency_score\nemail,Hello,very\n", "is no number"),
            ("source_type,snippet,urgency_score\nemail,Hello,1.5\n", "lies between 0 and 1"),
            ("source_type,snippet,ts\nemail,Hello,2026-01-01T00:00\n", "has no time zone"),
            (f"source_type,snippet\nemail,{'x' * 1001}\n", "at most 1000 are kept"),
            ("source_type,snippet\n", "brings no new signal"),
        ],
    )
    def test_refuses_a_file_that_it_cannot_play(self, org, rep, tmp_path, content, sentence):
        own = tmp_path / "own.csv"
        own.write_text(content)
        with nothing_changes(), pytest.raises(InvalidInput, match=sentence):
            play_file(org, rep, own)

    def test_a_failing_handler_stops_it_with_its_error(self, org, rep):
        with only_handlers_registered_inside():

            @handler("candidate.promoted", name="tests.fails")
            def fail(delivery: Delivery) -> None:
                raise LookupError("the template is gone")

            with pytest.raises(Unavailable, match=r"candidate\.promoted .* the template is gone"):
                play_file(org, rep, SIGNALS)
        assert Pursuit.all_orgs.get(org=org).stage == "qual"

    def test_the_command_prepares_a_fresh_database_and_prints_every_step(self, capsys, no_limits):
        call_command("demo")
        told = capsys.readouterr().out.splitlines()
        assert [line[:12].strip() for line in told][:3] == ["prepare", "handlers", "ingest"]
        assert told[-1].startswith("in all")
        assert all(" ms  " in line for line in told if line.startswith(("promote", "won", "submit")))
        with pytest.raises(CommandError, match="cannot be read"):
            call_command("demo", file=Path("nowhere.csv"))
