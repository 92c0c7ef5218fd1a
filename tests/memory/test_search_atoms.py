"""Search: what answers a question, in which order, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flowledger.errors import InvalidInput, PermissionRefused
from flowledger.tenancy.actors import Actor, Origin, Role
from memory.models import Atom, Kind
from memory.services.search import Filters, Results, search
from tests.factories import ClientFactory, ContactFactory, OrganizationFactory, UserFactory
from tests.memory.factories import AtomFactory, AtomLinkFactory
from tests.workstream.factories import AT

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("tests")


@pytest.fixture
def org() -> Any:
    return OrganizationFactory()


def ask(org: Any, question: str, **more: Any) -> Results:
    given = {"actor": SYSTEM, "at": AT, **more}
    return search(org=org, question=question, **given)


def found(results: Results) -> list[int]:
    return [hit.atom.pk for hit in results.hits]


def said(org: Any, content: str, **more: Any) -> Atom:
    atom: Atom = AtomFactory(org=org, content=content, **more)
    return atom


class TestWords:
    def test_a_question_is_answered_by_any_of_its_words(self, org):
        atom = said(org, "Their warehouse in Leeds closes in May.")
        said(org, "They like the new colours.")

        assert found(ask(org, "When does the warehouse of that company shut down?")) == [atom.pk]

    def test_rare_words_tell_more_than_common_ones(self, org):
        for number in range(20):
            said(org, f"The offer was sent on day {number}.")
        atom = said(org, "Palletising was left out of the tender.")

        results = ask(org, "the offer about palletising was sent")

        assert found(results)[0] == atom.pk

    def test_forms_of_a_word_are_one_word(self, org):
        atom = said(org, "They are migrating their servers.")

        assert found(ask(org, "server migration")) == [atom.pk]

    def test_a_word_of_the_trade_finds_another_for_the_same_thing_but_the_word_itself_is_better(self, org):
        other = said(org, "The cost matters most to them.")
        same = said(org, "The price matters most to them.")

        assert found(ask(org, "What about the price?")) == [same.pk, other.pk]

    def test_a_code_is_found_as_it_is_written(self, org):
        atom = said(org, "It is about tender RFP-2024/17.")
        said(org, "It is about tender RFP-2023/17.")
        said(org, "In 2024 they had 17 machines.")

        results = ask(org, "rfp-2024/17")

        assert found(results)[0] == atom.pk
        assert results.hits[0].parts.words > 1.5 * results.hits[1].parts.words

    def test_a_name_that_is_a_small_word_is_found(self, org):
        atom = said(org, "Ask Will first.")
        said(org, "They will see.")

        assert found(ask(org, "Did Will agree?")) == [atom.pk]

    def test_accents_and_case_do_not_count(self, org):
        atom = said(org, "Das Café in MÜNCHEN.")

        assert found(ask(org, "cafe munchen")) == [atom.pk]

    def test_another_language_is_stemmed_by_its_own_rules(self, org):
        atom = said(org, "Die Verträge wurden nicht unterschrieben, und die Häuser sind noch leer.", language="de")

        assert found(ask(org, "Warum ist der Vertrag für das Haus nicht da und was wird mit den Räumen?")) == [atom.pk]

    def test_nothing_in_common_finds_nothing(self, org):
        said(org, "They like the new colours.")

        results = ask(org, "palletising")

        assert (results.hits, results.total, results.next_cursor) == ([], 0, None)


class TestOrder:
    def test_whom_the_question_names_comes_first(self, org):
        client = ClientFactory(org=org, name="Hartmann Logistik GmbH")
        of_them = said(org, "Delivery on Mondays only.", client=client)
        said(org, "Delivery on Mondays only, please.")

        results = ask(org, "Which delivery day does Hartmann want?")

        assert found(results)[0] == of_them.pk
        assert [named.entity_id for named in results.named] == [client.pk]
        assert results.hits[0].parts.entity > 0
        assert results.hits[1].parts.entity == 0

    def test_what_was_said_beside_a_hit_is_found_without_a_word_in_common(self, org):
        hit = said(org, "Palletising is the sore point.", thread_key="pursuit:1", occurred_at=AT)
        beside = said(org, "So Ann says no.", thread_key="pursuit:1", occurred_at=AT + timedelta(minutes=1))
        further = said(org, "Lunch was fine.", thread_key="pursuit:1", occurred_at=AT + timedelta(minutes=2))
        said(org, "Nobody came.", thread_key="pursuit:1", occurred_at=AT + timedelta(minutes=3))
        said(org, "So Ann says no, too.", thread_key="pursuit:2", occurred_at=AT)

        results = ask(org, "palletising")

        assert found(results) == [hit.pk, beside.pk, further.pk]
        assert [round(each.parts.thread, 2) for each in results.hits] == [0.0, 0.3, 0.2]

    def test_an_old_decision_that_alone_answers_outranks_fresh_ones(self, org):
        old = said(org, "Palletising was dropped.", kind=Kind.DECISION, occurred_at=AT - timedelta(days=730))
        for number in range(30):
            said(org, f"The project is on stage {number}.", kind=Kind.STATUS, occurred_at=AT)

        assert found(ask(org, "Why was palletising dropped from the project?"))[0] == old.pk

    def test_of_two_that_answer_alike_the_newer_is_first(self, org):
        old = said(org, "Palletising is wanted.", occurred_at=AT - timedelta(days=400))
        new = said(org, "Palletising is wanted.", occurred_at=AT)

        assert found(ask(org, "palletising")) == [new.pk, old.pk]

    @pytest.mark.parametrize("how", [{"question": "latest price of palletising"}, {"sort": "recent"}])
    def test_asking_for_the_latest_weighs_time_more(self, org, how):
        for number in range(8):
            said(org, f"The price is {number}.", occurred_at=AT - timedelta(days=800))
            said(org, f"They have {number} machines.", occurred_at=AT - timedelta(days=800))
        old = said(org, "Palletising has a price.", occurred_at=AT - timedelta(days=900))
        new = said(org, "Palletising is an option.", occurred_at=AT)

        plain = ask(org, "price of palletising").hits
        recent = ask(org, **{"question": "price of palletising", **how}).hits

        assert plain[0].atom.pk == old.pk
        assert recent[0].atom.pk == new.pk
        assert recent[0].parts.recency == pytest.approx(0.3)

    def test_the_parts_add_up_to_the_score(self, org):
        client = ClientFactory(org=org, name="Hartmann Logistik")
        said(org, "Delivery on Mondays only.", client=client, thread_key="a")
        said(org, "Delivery costs more.", client=client, thread_key="a", occurred_at=AT + timedelta(minutes=1))

        for hit in ask(org, "delivery of Hartmann").hits:
            parts = hit.parts
            total = parts.words + parts.meaning + parts.entity + parts.thread + parts.recency + parts.kind
            assert hit.score == pytest.approx(total)
            assert parts.thread > 0


class TestPassages:
    def test_highlights_stand_where_the_words_are(self, org):
        said(org, "They prefer deliveries on Monday mornings.")

        (hit,) = ask(org, "Which delivery time do they prefer?").hits
        (passage,) = hit.passages

        assert [passage.text[a:b] for a, b in passage.highlights] == ["prefer", "deliveries", "mornings"]
        assert hit.matched == ("prefer", "deliveries", "mornings")
        assert (passage.is_cut_before, passage.is_cut_after) == (False, False)

    def test_of_a_long_text_the_piece_that_answers_is_shown(self, org):
        said(org, f"{'Nothing of note. ' * 60}Palletising is out. {'Nothing more. ' * 60}")

        (passage,) = ask(org, "palletising").hits[0].passages

        assert "Palletising is out." in passage.text
        assert len(passage.text) <= 280
        assert (passage.is_cut_before, passage.is_cut_after) == (True, True)


class TestFilters:
    def test_each_filter_narrows(self, org):
        client, author = ClientFactory(org=org), UserFactory()
        wanted = said(
            org, "Machines are late.", client=client, kind=Kind.RISK, tags=["fleet"], author=author, occurred_at=AT
        )
        said(org, "Machines are late again.", occurred_at=AT - timedelta(days=9))

        for filters in (
            Filters(entities=(("client", client.pk),)),
            Filters(kinds=("risk", "decision")),
            Filters(tags=("fleet",)),
            Filters(author_id=author.pk),
            Filters(since=AT),
            Filters(since=AT - timedelta(days=1), until=AT + timedelta(days=1)),
        ):
            assert found(ask(org, "late machines", filters=filters)) == [wanted.pk], filters
        assert found(ask(org, "late machines", filters=Filters(until=AT))) != [wanted.pk]
        assert len(found(ask(org, "late machines"))) == 2

    def test_an_entity_is_reached_through_links(self, org):
        client = ClientFactory(org=org)
        atom = said(org, "Machines are late.", contact=ContactFactory(org=org, client=client), through=[client])
        said(org, "Machines are late.")

        assert found(ask(org, "machines", filters=Filters(entities=(("client", client.pk),)))) == [atom.pk]

    def test_neighbours_pass_the_filters_too(self, org):
        hit = said(org, "Palletising hurts.", thread_key="a", kind=Kind.RISK)
        said(org, "So no.", thread_key="a", occurred_at=AT + timedelta(minutes=1), kind=Kind.NOTE)

        assert found(ask(org, "palletising", filters=Filters(kinds=("risk",)))) == [hit.pk]

    def test_archived_and_superseded_ones_are_asked_for(self, org):
        active = said(org, "Machines are late.")
        archived = said(org, "Machines were late.", state="archived", archived_at=AT)
        superseded = said(org, "Machines come late.", state="superseded", superseded_by=active)

        assert found(ask(org, "late machines")) == [active.pk]
        past = found(ask(org, "late machines", filters=Filters(include_archived=True)))
        assert set(past) == {active.pk, archived.pk, superseded.pk}


class TestAudiences:
    def test_what_is_not_for_the_reader_is_nowhere(self, org):
        author = UserFactory()
        said(org, "Palletising for everyone.", thread_key="a")
        said(org, "Palletising for managers.", audience="managers", thread_key="a")
        mine = said(org, "Palletising of an author.", audience="author", author=author, thread_key="a")
        # A neighbour without a word in common.
        said(org, "Hush.", audience="managers", thread_key="a", occurred_at=AT + timedelta(minutes=1))

        def seen(role: Role, user_id: int) -> set[str]:
            actor = Actor(SYSTEM.kind, user_id, role, "somebody", Origin.USER, user_id)
            return {hit.atom.audience for hit in ask(org, "palletising", actor=actor, limit=50).hits}

        assert seen(Role.REP, UserFactory().pk) == {"everyone"}
        assert seen(Role.MANAGER, UserFactory().pk) == {"everyone", "managers"}
        assert seen(Role.VIEWER, author.pk) == {"everyone", "author"}
        assert mine.pk

    def test_a_private_atom_moves_nobody_elses_order(self, org):
        said(org, "Palletising hurts.")
        said(org, "The gripper hurts.")
        viewer = Actor(SYSTEM.kind, 1, Role.VIEWER, "somebody", Origin.USER, UserFactory().pk)
        before = [(hit.atom.pk, hit.score) for hit in ask(org, "palletising gripper", actor=viewer).hits]
        for _ in range(5):
            said(org, "The gripper again.", audience="author", author=UserFactory())

        assert [(hit.atom.pk, hit.score) for hit in ask(org, "palletising gripper", actor=viewer).hits] == before


class TestRefusals:
    @pytest.mark.parametrize("question", ["", "   ", "?!…", "\x00", "\u200b", "'''''"])
    def test_a_question_without_a_word(self, org, question):
        with pytest.raises(InvalidInput, match="at least one word"):
            ask(org, question)

    def test_a_question_that_is_too_long(self, org):
        with pytest.raises(InvalidInput, match="too long"):
            ask(org, "word " * 2_000)

    @pytest.mark.parametrize("limit", [0, -1, 51])
    def test_a_limit_out_of_range(self, org, limit):
        with pytest.raises(InvalidInput, match="limit"):
            ask(org, "machines", limit=limit)

    def test_an_unknown_order(self, org):
        with pytest.raises(InvalidInput, match="sort"):
            ask(org, "machines", sort="random")


def test_only_linked_atoms_of_a_named_contact_get_its_prior(org):
    ann = ContactFactory(org=org, name="Ann Lee")
    linked = said(org, "Wants mail only.", contact=ann)
    mentioned = said(org, "Reach her by mail.")
    AtomLinkFactory(org=org, atom=mentioned, role="mention", contact=ann)
    said(org, "They all want mail.")

    results = ask(org, "Does Ann Lee want mail?")

    assert {hit.atom.pk for hit in results.hits if hit.parts.entity} == {linked.pk, mentioned.pk}


def test_a_viewer_may_search(org):
    assert PermissionRefused.status == 403
    viewer = Actor(SYSTEM.kind, 1, Role.VIEWER, "somebody", Origin.USER, UserFactory().pk)

    assert ask(org, "machines", actor=viewer).mode == "lexical"
