"""Memory health: figures beside their targets, from the view, over REST and on its page."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils.timezone import now

from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Role
from flowledger.tenancy.scope import system_scope
from memory.models import Kind, MemoryLedger
from memory.reports import memory_health
from tests.factories import ClientFactory
from tests.memory.factories import (
    AtomConflictFactory,
    AtomFactory,
    AtomVectorFactory,
    CardMarkFactory,
    ExtractionJobFactory,
    LegalHoldFactory,
    MemoryCardFactory,
    MemoryLedgerFactory,
    RedactionFactory,
)
from tests.queries import counted_queries
from tests.workstream.back_office import address
from tests.workstream.report_rows import pending_event

pytestmark = pytest.mark.django_db
HEALTH = "/api/memory/health"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def row_of(org: Any) -> dict[str, Any]:
    (row,) = memory_health(org=org, at=now()).rows
    return row


def figure(org: Any, name: str) -> Any:
    (found,) = [each for each in memory_health(org=org, at=now()).health if each.name == name]
    return found


def fresh(org: Any, **fields: Any) -> Any:
    return AtomFactory(org=org, **{"expires_at": now() + DAY, **fields})


class TestRow:
    def test_counts_what_there_is(self, org, other_org):
        for kind in Kind:
            fresh(org, kind=kind)
        fresh(org, is_pinned=True, audience="managers")
        for state in ("archived", "superseded", "superseded"):
            fresh(org, state=state)
        fresh(org, state="redacted", content="", redacted_at=now())
        LegalHoldFactory(org=org)
        LegalHoldFactory(org=org, released_at=now())
        MemoryCardFactory(org=org)
        RedactionFactory(org=org)
        fresh(other_org)
        row = row_of(org)
        expected = {
            "active": 6,
            "archived": 1,
            "superseded": 2,
            "redacted": 1,
            "pinned": 1,
            "decisions": 1,
            "risks": 1,
            "preferences": 1,
            "notes": 2,
            "statuses": 1,
            "open_to_all": 5,
            "holds": 1,
            "cards": 1,
            "redactions": 1,
            "unerased": 1,
            "conflicts": 0,
        }
        assert {name: row[name] for name in expected} == expected

    def test_an_organisation_without_any_memory_has_one_too(self, org):
        row = row_of(org)
        assert (row["active"], row["epoch"], row["last_written_at"], row["oldest_mark_seconds"]) == (
            0,
            None,
            None,
            None,
        )
        assert {each.is_met for each in memory_health(org=org, at=now()).health} == {True, None}

    def test_a_conflict_with_what_left_is_none(self, org):
        AtomConflictFactory(org=org)
        AtomConflictFactory(org=org, older=fresh(org, state="archived"))
        assert row_of(org)["conflicts"] == 1

    def test_is_asked_in_few_queries(self, org):
        with counted_queries() as asked:
            memory_health(org=org, at=now())
        assert len(asked) == 2


class TestFigures:
    """Each on both sides of its target."""

    def test_capture(self, org):
        assert figure(org, "capture_lag").sentence == "Every event was captured."
        pending_event(org)
        WorkEvent.all_orgs.filter(org=org).update(available_at=now() - MINUTE)
        late = figure(org, "capture_lag")
        assert (late.is_met, late.target) == (False, "under 5 seconds")

    def test_cards(self, org):
        CardMarkFactory(org=org, first_marked_at=now() - MINUTE)
        assert figure(org, "card_lag").is_met is True
        CardMarkFactory(org=org, first_marked_at=now() - 3 * MINUTE, due_at=now() + MINUTE)
        late = figure(org, "card_lag")
        assert (late.is_met, late.sentence) == (False, "2 cards are to be rebuilt, 1 of them now.")
        assert 180 <= late.value < 240

    def test_archiving_passes_over_what_is_kept(self, org):
        client = ClientFactory(org=org)
        LegalHoldFactory(org=org, client=client)
        LegalHoldFactory(org=org, client=ClientFactory(org=org), released_at=now())
        AtomFactory(org=org, expires_at=now() - DAY, is_pinned=True)
        AtomFactory(org=org, expires_at=now() - DAY, client=client)
        assert figure(org, "archive_lag").sentence == "Nothing has expired."
        AtomFactory(org=org, expires_at=now() - MINUTE)
        assert (row_of(org)["due"], figure(org, "archive_lag").is_met) == (1, True)
        AtomFactory(org=org, expires_at=now() - 2 * HOUR)
        assert figure(org, "archive_lag").is_met is False

    def test_extraction(self, org):
        assert figure(org, "failed_jobs").is_met is None
        ExtractionJobFactory(org=org)
        assert figure(org, "failed_jobs").is_met is True
        ExtractionJobFactory(org=org, status="failed")
        failed = figure(org, "failed_jobs")
        assert (failed.value, failed.is_met) == (1, False)

    def test_terms(self, org):
        assert figure(org, "term_age").is_met is None
        fresh(org)
        assert (figure(org, "term_age").value, figure(org, "term_age").is_met) == (None, False)
        MemoryLedgerFactory(org=org, refreshed_at=now() - HOUR)
        assert (figure(org, "term_age").value, figure(org, "term_age").is_met) == (Decimal("1.0"), True)
        MemoryLedger.all_orgs.filter(org=org).update(refreshed_at=now() - 2 * DAY)
        assert figure(org, "term_age").is_met is False

    def test_vectors(self, org):
        atoms = [fresh(org) for _ in range(4)]
        assert (figure(org, "vector_coverage").value, figure(org, "vector_coverage").is_met) == (None, None)
        for atom in atoms[:2]:
            AtomVectorFactory(org=org, atom=atom)
        # Of a text that was put right since, and of one that left.
        AtomVectorFactory(org=org, atom=atoms[2], content_hash="of another text")
        AtomVectorFactory(org=org, atom=fresh(org, state="archived"))
        half = figure(org, "vector_coverage")
        assert (half.value, half.is_met) == (Decimal("50.0"), False)
        for atom in atoms[2:]:
            AtomVectorFactory(org=org, atom=atom, model="another")
        assert figure(org, "vector_coverage").is_met is True

    def test_a_backend_that_cannot_be_used_is_said(self, org, settings):
        fresh(org)
        settings.MEMORY_EMBEDDINGS_URL, settings.MEMORY_EMBEDDINGS_PATH = "http://127.0.0.1:9/v1", "/no/model"
        trouble = figure(org, "vector_coverage")
        assert (trouble.is_met, trouble.value) == (False, None)
        assert "name two backends" in trouble.sentence
        settings.MEMORY_EMBEDDINGS_PATH, settings.MEMORY_EMBEDDINGS_MODEL = "", "small"
        behind = figure(org, "vector_coverage")
        assert (behind.is_met, behind.value) == (False, 0)

    def test_erasure(self, org):
        assert figure(org, "erasure_lag").is_met is None
        redaction = RedactionFactory(org=org, redacted_at=now() - DAY)
        assert (figure(org, "erasure_lag").value, figure(org, "erasure_lag").is_met) == (Decimal("1.0"), True)
        type(redaction).all_orgs.filter(pk=redaction.pk).update(redacted_at=now() - 8 * DAY)
        assert figure(org, "erasure_lag").is_met is False
        type(redaction).all_orgs.filter(pk=redaction.pk).update(erased_at=now())
        assert figure(org, "erasure_lag").is_met is True


class TestDoors:
    def test_rest_answers_row_and_figures(self, org, as_viewer):
        fresh(org)
        body = as_viewer.get(HEALTH).json()
        assert (body["data"][0]["active"], body["period"]) == (1, None)
        names = [each["name"] for each in body["health"]]
        assert names == [
            *("capture_lag", "card_lag", "archive_lag", "failed_jobs", "term_age", "vector_coverage", "erasure_lag")
        ]

    def test_rest_answers_a_file(self, org, as_viewer):
        lines = as_viewer.get(f"{HEALTH}?format=csv").getvalue().decode().splitlines()
        assert (len(lines), lines[0].split(",")[:2]) == (2, ["active", "superseded"])

    def test_a_key_needs_the_scope_of_memory(self, org, key_for):
        from tests.client import ApiClient

        for scope, status in (("workstream:read", 403), ("memory:read", 200)):
            _, text = key_for(org, scope)
            assert ApiClient(f"Api-Key {text}").get(HEALTH).status_code == status

    def test_the_page_shows_numbers_that_lead_to_their_rows(self, home, as_role):
        with system_scope("tests"):
            atom = AtomFactory(org=home.org, kind="risk")
        for role in (Role.VIEWER, Role.ADMIN):
            page = as_role(role).get(reverse("admin:memory_health"))
            text = page.content.decode()
            assert 'data-figure="card_lag"' in text
            risks = next(each for each in page.context["kinds"] if each["label"] == "Risk")
            rows = as_role(role).get(risks["link"]).context["cl"].result_list
            assert ([row.pk for row in rows], risks["number"]) == ([atom.pk], "1")
            for each in (*page.context["kinds"], *page.context["states"], *page.context["others"]):
                if each["link"]:
                    expected = 403 if "redaction" in each["link"] and role is Role.VIEWER else 200
                    assert as_role(role).get(each["link"]).status_code == expected, each
        assert address(atom, "changelist") in text
