"""Vectors of atoms: made in the background, searched by meaning, and gone with what is redacted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connections

from flowledger.configuration.services import set_value
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import org_scope
from memory.embeddings import EmbeddingFailed, chosen, forget_choice
from memory.embeddings.matrix import Matrix, StoredVector, pack
from memory.models import AtomVector
from memory.services import vectors
from memory.services.embedding import embed_atoms
from memory.services.ledger import ledger_of
from memory.services.redaction import Target, redact
from memory.services.vectors import forget_vectors, prepare_question, rank_by_meaning
from memory.tasks import embed_missed_atoms, embed_new_atoms
from tests.memory.embedding_endpoint import cosine, fake_endpoint, vector_of
from tests.memory.factories import AtomFactory, digest_of
from tests.memory.tiny_model import write_model
from tests.workstream.factories import AT
from tests.workstream.trail import at_once

SYSTEM = Actor.system("tests")
QUESTION = "Why was it too expensive?"


@pytest.fixture(autouse=True)
def forgets():
    vectors.forget_everything()
    forget_choice()
    yield
    vectors.forget_everything()
    forget_choice()


@pytest.fixture
def fake(settings):
    with fake_endpoint() as served:
        settings.MEMORY_EMBEDDINGS_URL = served.url
        settings.MEMORY_EMBEDDINGS_MODEL = "small"
        yield served


def atom(org, content: str, **more):
    return AtomFactory(org=org, content=content, **more)


def embed(org, **more):
    return embed_atoms(org=org, embedder=chosen().embedder, **more)


def stored(org) -> dict[int, str]:
    """The models of the vectors by atom."""
    with org_scope(org):
        return dict(AtomVector.objects.for_org(org).order_by("atom_id").values_list("atom_id", "model"))


def open_ledger(org) -> None:
    with org_scope(org):
        ledger_of(org)


def ask(org, question: str = QUESTION, atom_ids=None):
    prepare_question(org=org, question=question)
    with org_scope(org):
        return rank_by_meaning(org, question, atom_ids)


class TestMatrix:
    def test_keeps_the_cosine_within_a_percent_of_a_percent(self):
        texts = [f"{word} price of machine {n}" for n in range(50) for word in ("high", "low", "fair")]
        rows = [StoredVector(n + 1, 100 + n, *pack(vector_of(text))) for n, text in enumerate(texts)]
        matrix = Matrix.empty(64).with_more(rows)
        asked = vector_of("the high price of machine 7")
        expected = {100 + n: cosine(asked, vector_of(text)) for n, text in enumerate(texts)}
        assert matrix.of(asked, expected) == pytest.approx(expected, abs=0.01)
        nearest = sorted(expected, key=lambda pk: -expected[pk])[0]
        assert next(iter(matrix.top(asked, 5))) == nearest
        assert len(matrix.top(asked, 5)) == 5

    def test_a_newer_vector_takes_the_place_of_the_older_one(self):
        first = Matrix.empty(2).with_more([StoredVector(1, 10, *pack([1, 0])), StoredVector(2, 20, *pack([0, 1]))])
        second = first.with_more([StoredVector(3, 10, *pack([0, 1]))])
        assert second.of([0, 1], [10, 20, 30]) == pytest.approx({10: 1, 20: 1})
        assert first.of([0, 1], [10]) == pytest.approx({10: 0})
        assert (first.newest, second.newest, len(second)) == (2, 3, 2)

    def test_other_widths_and_refused_texts_are_passed_over(self):
        matrix = Matrix.empty(2).with_more([StoredVector(1, 10, *pack([1, 0, 0])), StoredVector(2, 20, 0.0, b"")])
        assert (len(matrix), matrix.newest) == (0, 1)
        assert (matrix.top([1, 0], 3), matrix.of([1, 0], [10])) == ({}, {})

    def test_nothing_has_no_direction(self):
        assert pack([0.0, 0.0]) is None


@pytest.mark.django_db
class TestEmbedding:
    def test_makes_what_is_missing_once(self, org, fake):
        atoms = [atom(org, f"The price of machine {n}") for n in range(5)]
        assert embed(org, batch=3).stored == 3
        assert embed(org, batch=3).stored == 2
        assert embed(org).found == 0
        assert stored(org) == dict.fromkeys([each.pk for each in atoms], "small")
        assert len(fake.texts) == 5

    def test_nothing_is_sent_of_what_is_redacted_archived_or_not_for_everyone(self, org, rep, fake):
        """Governance 24."""
        open_one = atom(org, "Open to all")
        atom(org, "For managers", audience="managers")
        atom(org, "My own", audience="author", author=rep.user)
        atom(org, "Long ago", state="archived", archived_at=AT)
        atom(org, "", state="redacted", redacted_at=AT)
        embed(org)
        embed_missed_atoms()
        assert fake.texts == ["Open to all"]
        assert list(stored(org)) == [open_one.pk]

    def test_an_organisation_may_opt_out(self, org, other_org, fake):
        for house in (org, other_org):
            atom(house, f"The price of {house.name}")
            open_ledger(house)
        keys = {"rule_type": "memory_rule", "key": "assistants", "reason": "We keep it to ourselves"}
        set_value(org=org, **keys, value={"model": False, "embeddings": False}, actor=SYSTEM, at=AT)
        embed_new_atoms()
        embed_missed_atoms()
        assert fake.texts == [f"The price of {other_org.name}"]
        assert ask(org) is None
        # Not even the question went out.
        assert len(fake.texts) == 1

    def test_a_changed_text_gets_a_new_vector_and_the_old_one_is_never_used(self, org, fake):
        row = atom(org, "The price is too high")
        embed(org)
        assert list(ask(org)) == [row.pk]
        type(row).all_orgs.filter(pk=row.pk).update(content="They like blue", content_hash=digest_of("They like blue"))
        assert ask(org) == {}
        assert embed(org).stored == 1
        assert fake.texts.count("They like blue") == 1
        assert ask(org) == {row.pk: pytest.approx(cosine(vector_of(QUESTION), vector_of("They like blue")), abs=0.01)}

    def test_another_model_makes_all_anew_and_the_former_goes(self, org, settings, fake):
        open_ledger(org)
        rows = [atom(org, f"The price of machine {n}") for n in range(3)]
        embed_missed_atoms()
        settings.MEMORY_EMBEDDINGS_MODEL = "large"
        assert ask(org) is None
        embed_missed_atoms()
        assert stored(org) == dict.fromkeys([row.pk for row in rows], "large")
        assert {body["model"] for body in fake.asked} == {"small", "large"}
        assert len(ask(org)) == 3

    def test_a_text_that_is_refused_is_not_asked_for_again(self, org, fake):
        bad, good = atom(org, "Something unspeakable"), atom(org, "The price is too high")
        fake.reply = lambda texts: (400, {}) if any("unspeakable" in text for text in texts) else fake.answer(texts)
        assert embed(org).stored == 2
        asked = len(fake.asked)
        assert embed(org).found == 0
        assert len(fake.asked) == asked
        assert set(stored(org)) == {bad.pk, good.pk}
        assert list(ask(org)) == [good.pk]

    def test_a_backend_that_refuses_everything_is_broken_and_nothing_is_stored(self, org, fake):
        atom(org, "The price is too high")
        fake.reply = lambda texts: (400, {"error": "unknown model"})
        with pytest.raises(EmbeddingFailed):
            embed(org)
        assert stored(org) == {}

    @pytest.mark.parametrize("answer", [(500, {}), (429, {}), (200, b"junk")])
    def test_a_backend_that_fails_is_asked_again_by_the_next_sweep(self, org, fake, answer):
        row = atom(org, "The price is too high")
        fake.reply = lambda texts: answer
        embed_new_atoms()
        assert stored(org) == {}
        fake.reply = fake.answer
        forget_choice()
        embed_new_atoms()
        assert list(stored(org)) == [row.pk]

    def test_the_quick_sweep_goes_through_all_organisations_and_the_slow_one_through_all_atoms(
        self, org, other_org, fake
    ):
        rows = [atom(house, f"The price of machine {n}") for house in (org, other_org) for n in range(100)]
        embed_new_atoms()
        assert set(stored(org)) | set(stored(other_org)) == {row.pk for row in rows}
        forget_vectors(org=org, atom_ids=[rows[0].pk, rows[50].pk])
        for house in (org, other_org):
            open_ledger(house)
        embed_missed_atoms()
        assert set(stored(org)) == {row.pk for row in rows[:100]}

    def test_without_a_backend_nothing_is_done(self, org):
        atom(org, "The price is too high")
        assert (embed_new_atoms(), embed_missed_atoms(), stored(org), ask(org)) == (0, 0, {}, None)

    def test_a_local_model_does_the_same_without_a_network(self, org, settings, tmp_path):
        settings.MEMORY_EMBEDDINGS_PATH = str(write_model(tmp_path / "tiny"))
        high, call = atom(org, "The price is too high!"), atom(org, "caller unable")
        embed_new_atoms()
        with org_scope(org):
            found = rank_by_meaning(org, "the price is too high!")
        assert list(found) == [high.pk, call.pk]
        assert found[high.pk] == pytest.approx(1, abs=0.01)


@pytest.mark.django_db
class TestMeaning:
    def test_finds_what_is_said_in_other_words(self, org, fake):
        price, call = atom(org, "The price was the reason"), atom(org, "Please telephone before noon")
        embed(org)
        assert next(iter(ask(org, "too expensive"))) == price.pk
        assert next(iter(ask(org, "ring them"))) == call.pk
        assert list(ask(org, "ring them", [price.pk])) == [price.pk]

    def test_the_cosine_is_that_of_the_vectors(self, org, fake):
        rows = [atom(org, text) for text in ("It was too dear", "It was a Friday", "Nobody came")]
        embed(org)
        expected = {row.pk: cosine(vector_of(QUESTION), vector_of(row.content)) for row in rows}
        assert ask(org) == pytest.approx(expected, abs=0.01)

    def test_a_question_is_asked_once_and_never_inside_a_scope(self, org, fake):
        atom(org, "The price was the reason")
        embed(org)
        with org_scope(org):
            assert rank_by_meaning(org, QUESTION) is None
        assert len(fake.asked) == 1
        for _ in range(3):
            assert ask(org, f"  {QUESTION}\n") is not None
        assert fake.texts[1:] == [QUESTION]

    def test_a_failing_backend_leaves_the_search_to_words(self, org, fake):
        atom(org, "The price was the reason")
        embed(org)
        fake.reply = lambda texts: (503, {})
        assert prepare_question(org=org, question=QUESTION) is False
        assert ask(org) is None

    def test_new_vectors_are_found_without_reading_the_old_ones_again(self, org, fake, django_assert_num_queries):
        old = atom(org, "The price was the reason")
        embed(org)
        assert list(ask(org)) == [old.pk]
        new = atom(org, "It was too expensive")
        embed(org)
        assert set(ask(org)) == {old.pk, new.pk}
        with org_scope(org), django_assert_num_queries(2):
            # The stamp, and the look at what was found.
            rank_by_meaning(org, QUESTION)

    def test_archived_atoms_are_answered_only_when_they_are_named(self, org, fake):
        row = atom(org, "The price was the reason")
        embed(org)
        type(row).all_orgs.filter(pk=row.pk).update(archived_at=AT)
        with org_scope(org):
            found = type(row).objects.for_org(org).get(pk=row.pk)
            found.archive(cause="hand", actor=SYSTEM, at=AT)
            found.save()
        assert ask(org) == {}
        assert list(ask(org, atom_ids=[row.pk])) == [row.pk]

    def test_one_that_is_no_longer_for_everyone_is_left_out(self, org, fake):
        row = atom(org, "The price was the reason")
        embed(org)
        type(row).all_orgs.filter(pk=row.pk).update(audience="managers")
        assert (ask(org), ask(org, atom_ids=[row.pk])) == ({}, {})

    def test_organisations_share_nothing(self, org, other_org, fake):
        mine, theirs = (atom(house, "The price was the reason") for house in (org, other_org))
        for house in (org, other_org):
            embed(house)
        assert list(ask(org)) == [mine.pk]
        assert ask(org, atom_ids=[theirs.pk]) == {}


def redacted(org, row) -> None:
    redact(org=org, target=Target(atom_ids=(row.pk,)), reason="They asked for it", actor=SYSTEM, at=AT)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("transactional_db")
class TestRedaction:
    @pytest.fixture(autouse=True)
    def no_wake(self, settings):
        settings.OUTBOX_WAKE = False

    def test_nothing_of_it_is_near_to_anything_any_more(self, org, fake):
        """Governance 8, and 4: the process has its matrix in memory."""
        canary, other = atom(org, "Zanzibar walrus price"), atom(org, "The price was the reason")
        embed(org)
        assert next(iter(ask(org, "Zanzibar walrus price"))) == canary.pk
        redacted(org, canary)
        assert list(stored(org)) == [other.pk]
        assert list(ask(org, "Zanzibar walrus price")) == [other.pk]
        assert ask(org, "Zanzibar walrus price", [canary.pk]) == {}
        assert embed(org).found == 0

    def test_what_a_backend_is_working_on_meanwhile_is_not_stored(self, org, fake):
        """Governance 5: read before the redaction, written after it."""
        canary, other = atom(org, "Zanzibar walrus price"), atom(org, "The price was the reason")
        open_ledger(org)

        def meanwhile(texts):
            fake.meanwhile = lambda texts: None
            try:
                redacted(org, canary)
            finally:
                connections.close_all()

        fake.meanwhile = meanwhile
        done = embed(org)
        assert (done.found, done.stored, stored(org)) == (2, 0, {})
        # The same place again: what still stands is done then.
        assert embed(org, below=done.go_on_below).stored == 1
        assert list(stored(org)) == [other.pk]

    def test_a_new_embedding_of_everything_brings_nothing_back(self, org, settings, fake):
        canary = atom(org, "Zanzibar walrus price")
        embed(org)
        redacted(org, canary)
        settings.MEMORY_EMBEDDINGS_MODEL = "large"
        embed_missed_atoms()
        assert stored(org) == {}
        assert len([text for text in fake.texts if "walrus" in text]) == 1

    def test_two_workers_at_once_leave_one_vector_each(self, org, fake):
        rows = [atom(org, f"The price of machine {n}", occurred_at=AT + timedelta(days=n)) for n in range(40)]
        embedder = chosen().embedder
        open_ledger(org)
        answers = at_once(*[lambda: embed_atoms(org=org, embedder=embedder, batch=20)] * 4)
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        while embed(org).found:
            pass
        assert list(stored(org)) == [row.pk for row in rows]
        with org_scope(org):
            assert AtomVector.objects.for_org(org).count() == 40
