"""A language model reads what waits for it: what is sent, what is stored, and what happens without an answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection

from flowledger.configuration.services import set_value
from flowledger.errors import PermissionRefused
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import org_scope, system_scope
from memory import services
from memory.extraction.model import ModelUnavailable, configured
from memory.machines import JobStatus
from memory.models import Atom, ExtractionJob
from memory.services.extraction_jobs import (
    LEASE,
    MOST_ATTEMPTS,
    Overtaken,
    begin_extraction,
    read_source,
    store_extraction,
    want_extractions,
)
from memory.sql.redaction import begin_epoch, empty_atoms
from memory.tasks import read_with_model
from tests.memory.capturing import atoms_of, captured, sources_of_atom
from tests.memory.model_server import completion, model_server, stated
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, CLERK, open_pursuit
from workstream import services as workstream
from workstream.models import Activity

TEXT = "Lovely people. The lab likes to order twice a year. Their plant in Leeds may close."
RISK = "Their plant in Leeds may close."


@pytest.fixture
def model():
    with model_server() as server:
        yield server


ACTOR = Actor.system("language model")


def want_models(org, *, model):
    value = {"model": model}
    set_value(org=org, rule_type="memory_rule", key="assistants", value=value, reason="Tests", actor=CLERK, at=AT)


def note(org, item, body=TEXT):
    """A note that a colleague logs, captured as a worker does."""
    activity = workstream.log_activity(
        org=org, item_type="pursuit", item_id=item.pk, kind="note", summary="Visit", body=body, actor=CLERK, at=AT
    )
    captured(org)
    return activity


def jobs_of(org):
    with org_scope(org):
        return list(ExtractionJob.objects.for_org(org).order_by("pk"))


def from_model(org):
    """The atoms that a model found."""
    return [
        atom for atom in atoms_of(org) if any(source.extractor.startswith("model:") for source in sources_of_atom(atom))
    ]


def read_so_far(org):
    """The only job, begun, and what the model found: all but stored."""
    (job,) = jobs_of(org)
    reading = begin_extraction(org=org, job_id=job.pk, actor=ACTOR, at=AT)
    return reading, {name: configured().extract(passage, "en") for name, passage in reading.passages.items()}


@pytest.fixture
def pursuit(org):
    return open_pursuit(org)


@pytest.fixture
def wanted(org, settings, model):
    """A model that is configured, and that the organisation wants; it reports the risk of TEXT."""
    settings.MEMORY_LLM_URL, settings.MEMORY_LLM_MODEL, settings.MEMORY_LLM_KEY = model.url, "tests-1", "a key"
    want_models(org, model=True)
    model.says(stated("risk", RISK, "closure"))
    return model


@pytest.mark.django_db
class TestJobs:
    def test_what_the_model_finds_stands_beside_what_the_rules_found(self, org, pursuit, wanted):
        activity = note(org, pursuit)
        by_rules = {atom.pk for atom in atoms_of(org)}

        assert read_with_model() == 1

        (atom,) = from_model(org)
        (source,) = sources_of_atom(atom)
        assert (atom.kind, atom.content, atom.entity_type, atom.entity_id) == ("risk", RISK, "pursuit", pursuit.pk)
        assert atom.tags == ["closure", "note"]
        assert source.extractor.startswith("model:tests-1:")
        assert (source.source_type, source.source_id, source.source_field) == ("activity", activity.pk, "body")
        assert TEXT[source.span_start : source.span_end] == RISK
        assert (source.event_name, source.actor_label) == ("activity.logged", "language model")
        assert by_rules < {each.pk for each in atoms_of(org)}
        assert [str(job.status) for job in jobs_of(org)] == [JobStatus.DONE]
        told = WorkEvent.all_orgs.filter(org=org, event_name="memory.atom.created").order_by("pk").last()
        assert told.payload["atom_id"] == atom.pk

    def test_an_atom_is_searched_for_once_however_often_it_is_asked(self, org, pursuit, wanted):
        note(org, pursuit)
        read_with_model()
        before = [(atom.pk, atom.seen_count, atom.version) for atom in atoms_of(org)]
        captured(org)
        assert read_with_model() == 0
        with org_scope(org):
            want_extractions(org, [pk for pk, _, _ in before], AT)
        assert [str(job.status) for job in jobs_of(org)] == [JobStatus.WAITING]
        assert read_with_model() == 1
        assert [(atom.pk, atom.seen_count, atom.version) for atom in atoms_of(org)] == before
        assert len(wanted.asked) == 4  # summary and body, twice

    def test_what_the_rules_found_is_not_found_again(self, org, pursuit, wanted):
        wanted.says(stated("preference", "She prefers email."), stated("risk", "Their budget is frozen."))
        note(org, pursuit, body="She prefers email. Their budget is frozen.")
        before = [(atom.pk, atom.seen_count) for atom in atoms_of(org)]
        read_with_model()
        assert [(atom.pk, atom.seen_count) for atom in atoms_of(org)] == before

    def test_an_atom_that_a_person_put_right_is_not_brought_back(self, org, pursuit, wanted):
        note(org, pursuit, body="Their budget is frozen until July.")
        (atom,) = atoms_of(org, kind="risk")
        services.correct_atom(
            org=org, atom_id=atom.pk, content="Their budget is free.", because="error", reason="Misheard.",
            actor=CLERK, at=AT,
        )  # fmt: skip
        wanted.says(stated("decision", "Their budget is frozen until July."))
        read_with_model()
        assert from_model(org) == []

    @pytest.mark.parametrize("is_on", [True, False])
    def test_nobody_is_asked_without_the_organisations_wish(self, org, pursuit, wanted, is_on):
        want_models(org, model=is_on)
        note(org, pursuit)
        assert len(jobs_of(org)) == int(is_on)
        want_models(org, model=False)
        assert read_with_model() == 0
        assert wanted.asked == []
        assert all(job.status == JobStatus.DONE for job in jobs_of(org))

    def test_nothing_is_begun_without_a_configured_model(self, org, pursuit, wanted, settings):
        settings.MEMORY_LLM_URL = ""
        note(org, pursuit)
        assert read_with_model() == 0
        assert (jobs_of(org), wanted.asked) == ([], [])
        assert atoms_of(org) != []

    def test_of_another_organisation_nothing_is_sent(self, org, other_org, pursuit, wanted):
        theirs = open_pursuit(other_org)
        note(other_org, theirs, body="Our secret plan. Their budget is frozen.")
        note(org, pursuit)
        read_with_model()
        assert not any("secret" in text for text in wanted.texts)
        assert (jobs_of(other_org), from_model(other_org)) == ([], [])


@pytest.mark.django_db
class TestWhatIsNotSent:
    """Governance 24: redacted, archived or private atoms never enter a prompt."""

    @pytest.mark.parametrize("audience", ["managers", "author"])
    def test_what_is_not_for_everyone(self, org, pursuit, wanted, audience):
        note(org, pursuit)
        with org_scope(org):
            Atom.objects.for_org(org).filter(kind="preference").update(audience=audience)
        read_with_model()
        assert wanted.asked == []
        assert [str(job.status) for job in jobs_of(org)] == [JobStatus.DONE]

    def test_what_was_archived(self, org, pursuit, wanted):
        note(org, pursuit)
        (atom,) = atoms_of(org, kind="preference")
        services.archive_atom(org=org, atom_id=atom.pk, actor=CLERK, at=AT)
        read_with_model()
        assert wanted.asked == []

    def test_what_was_redacted(self, org, pursuit, wanted):
        note(org, pursuit)
        (atom,) = atoms_of(org, kind="preference")
        with org_scope(org):
            empty_atoms(org_id=org.pk, atom_ids=[atom.pk], at=AT)
        read_with_model()
        assert wanted.asked == []

    def test_what_was_redacted_while_the_model_read(self, org, pursuit, wanted):
        note(org, pursuit)
        (atom,) = atoms_of(org, kind="preference")
        reading, found = read_so_far(org)
        with org_scope(org):
            begin_epoch(org_id=org.pk, at=AT)
            empty_atoms(org_id=org.pk, atom_ids=[atom.pk], at=AT)
        asked = len(wanted.asked)

        store_extraction(org=org, reading=reading, found=found, extractor="model:x", actor=ACTOR, at=AT)

        assert from_model(org) == []
        assert [(str(job.status), job.attempts) for job in jobs_of(org)] == [(JobStatus.WAITING, 0)]
        read_with_model()
        assert len(wanted.asked) == asked
        assert [str(job.status) for job in jobs_of(org)] == [JobStatus.DONE]

    def test_a_redaction_of_something_else_has_the_text_read_again(self, org, pursuit, wanted):
        note(org, pursuit)
        reading, found = read_so_far(org)
        with org_scope(org):
            begin_epoch(org_id=org.pk, at=AT)
        store_extraction(org=org, reading=reading, found=found, extractor="model:x", actor=ACTOR, at=AT)
        assert from_model(org) == []
        assert read_with_model() == 1
        assert [atom.content for atom in from_model(org)] == [RISK]

    def test_a_text_that_changed_while_the_model_read_is_read_again(self, org, pursuit, wanted):
        activity = note(org, pursuit)
        reading, found = read_so_far(org)
        with org_scope(org):
            Activity.objects.for_org(org).filter(pk=activity.pk).update(body="They bought the plant in York.")
        store_extraction(org=org, reading=reading, found=found, extractor="model:x", actor=ACTOR, at=AT)
        assert from_model(org) == []
        read_with_model()
        assert "They bought the plant in York." in wanted.texts
        # The quote is not there any more.
        assert from_model(org) == []


@pytest.mark.django_db
class TestTrouble:
    """Governance 22: whatever the provider does, the atoms of the rules stand and nothing invalid is stored."""

    @pytest.mark.parametrize(
        ("change", "failure"),
        [
            ({"status": 429, "headers": {"Retry-After": "3000"}}, "The model answered 429."),
            ({"status": 500}, "The model answered 500."),
            ({"body": b"junk"}, "The answer is no chat completion."),
            ({"body": completion({"statements": [stated("gossip", RISK)]})}, "The answer does not follow the schema."),
        ],
    )
    def test_the_job_waits_longer_each_time_and_is_given_up(self, org, pursuit, wanted, change, failure):
        note(org, pursuit)
        before = [(atom.pk, atom.content) for atom in atoms_of(org)]
        for name, value in change.items():
            setattr(wanted, name, value)
        at, waits = AT, []
        while (job := jobs_of(org)[0]).status == JobStatus.WAITING:
            waits.append(job.due_at - at)
            at = job.due_at
            with suppress(ModelUnavailable):
                read_source(org=org, job_id=job.pk, model=configured(), actor=ACTOR, at=at)
        assert (str(job.status), job.failure, job.attempts) == (JobStatus.FAILED, failure, MOST_ATTEMPTS)
        least = 3000 if wanted.headers else 0
        assert waits[1:] == [timedelta(seconds=max(30 * 4**n, least)) for n in range(MOST_ATTEMPTS - 1)]
        assert [(atom.pk, atom.content) for atom in atoms_of(org)] == before

    def test_after_an_answer_that_did_not_come_nobody_else_is_asked_in_this_tick(self, org, pursuit, wanted):
        note(org, pursuit)
        note(org, pursuit, body="A second note about the plant.")
        wanted.status = 503
        assert read_with_model() == 0
        assert len(wanted.asked) == 1
        assert sorted(job.attempts for job in jobs_of(org)) == [0, 1]

    def test_a_worker_that_died_leaves_its_job_to_the_next(self, org, pursuit, wanted):
        note(org, pursuit)
        (job,) = jobs_of(org)
        assert begin_extraction(org=org, job_id=job.pk, actor=ACTOR, at=AT) is not None
        assert begin_extraction(org=org, job_id=job.pk, actor=ACTOR, at=AT) is None
        late = read_source(org=org, job_id=job.pk, model=configured(), actor=ACTOR, at=AT + LEASE)
        assert len(late.created) == 1

    def test_a_worker_that_comes_too_late_stores_nothing(self, org, pursuit, wanted):
        note(org, pursuit)
        (job,) = jobs_of(org)
        reading = begin_extraction(org=org, job_id=job.pk, actor=ACTOR, at=AT)
        begin_extraction(org=org, job_id=job.pk, actor=ACTOR, at=AT + LEASE)
        found = {"body": configured().extract(reading.passages["body"], "en")}
        with pytest.raises(Overtaken):
            store_extraction(org=org, reading=reading, found=found, extractor="model:x", actor=ACTOR, at=AT)
        assert from_model(org) == []

    def test_who_may_not_capture_may_not_read(self, org, pursuit, wanted, viewer):
        note(org, pursuit)
        (job,) = jobs_of(org)
        with pytest.raises(PermissionRefused):
            begin_extraction(org=org, job_id=job.pk, actor=actor_of(viewer), at=AT)
        assert [(job.attempts, str(job.status)) for job in jobs_of(org)] == [(0, JobStatus.WAITING)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
def test_of_four_workers_one_reads_a_source(org, wanted):
    with system_scope("tests"):
        note(org, open_pursuit(org))
    (job,) = jobs_of(org)
    wanted.delay = 0.2

    def read(_):
        try:
            return read_source(org=org, job_id=job.pk, model=configured(), actor=ACTOR, at=AT)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read, range(4)))
    assert sum(result is not None for result in results) == 1
    assert len(wanted.asked) == 2
    assert len(from_model(org)) == 1
