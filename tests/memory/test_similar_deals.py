"""Which closed deals are like an open one, why, and what is shown of them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from flowledger.configuration.services import set_value
from flowledger.errors import InvalidInput, NotFound
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.scope import org_scope
from memory.deals import Deal, Trait, likeness, most_similar
from memory.models import AtomLink
from memory.services import recall_similar_deals
from memory.services.similar import lessons_for, similar_pursuits
from tests.factories import UserFactory
from tests.memory.closed_deals import deal, remembered
from tests.memory.factories import AtomFactory
from tests.queries import counted_queries
from tests.workstream.conftest import actor_of
from tests.workstream.factories import AT, ProblemFactory, ProposalFactory, SolutionFactory

SYSTEM = Actor.system("tests")
WEIGHTS = {
    "industry": 3.0,
    "problem": 3.0,
    "solution": 3.0,
    "size_band": 2.0,
    "value_band": 1.0,
    "source": 1.0,
    "owner": 0.5,
}


def made(number: int = 1, closed_at=AT, **traits: str) -> Deal:
    found = tuple(Trait(feature, value, value.upper()) for feature, value in traits.items())
    return Deal(number, "Deal", "lost", None, "", Decimal(0), "USD", closed_at, found)


class TestLikeness:
    def test_is_the_shared_weight_by_the_weight_that_either_has(self):
        one = made(industry="farming", problem="7", size_band="11-50", owner="1")
        other = made(industry="farming", problem="8", size_band="11-50", source="email")
        found = likeness(one, other, WEIGHTS)
        # Shared 3 + 2; either: industry 3, two problems 6, size 2, owner 0.5, source 1.
        assert found.score == pytest.approx(5 / 12.5)
        assert [trait.feature for trait in found.shared] == ["industry", "size_band"]
        assert found.different == ("problem",)
        assert found.sentence == "Industry: FARMING; Size of the client: 11-50"

    def test_is_whole_for_equal_deals_and_nothing_without_knowledge(self):
        assert likeness(made(problem="7"), made(problem="7"), WEIGHTS).score == 1
        nothing = likeness(made(), made(), WEIGHTS)
        assert (nothing.score, nothing.shared, nothing.sentence) == (0, (), "Nothing that is known of them is alike.")

    def test_a_trait_without_weight_counts_nothing(self):
        found = likeness(made(owner="1", problem="7"), made(owner="1", problem="7"), {**WEIGHTS, "owner": 0.0})
        assert (found.score, [trait.feature for trait in found.shared]) == (1, ["problem"])

    def test_the_most_alike_come_first_then_the_latest(self):
        asked = made(0, industry="farming", problem="7")
        old, new = made(1, problem="7"), made(2, AT + timedelta(days=1), problem="7")
        same, strange = made(3, industry="farming", problem="7"), made(4, problem="9")
        found = most_similar(asked, [old, strange, new, same], WEIGHTS, least=0.3, most=3)
        assert [(each.deal.pursuit_id, each.likeness.score) for each in found] == [(3, 1.0), (2, 0.5), (1, 0.5)]


@pytest.mark.django_db
class TestSimilarPursuits:
    def test_are_lost_deals_with_like_client_and_problem(self, org):
        slow, dear = ProblemFactory(org=org, name="Slow paperwork"), ProblemFactory(org=org, name="Dear energy")
        cloud = SolutionFactory(org=org, name="Cloud archive")
        asked = deal(org, stage="pink", industry=" Logistics", size_band="51-200", problem=slow, source="email")
        twin = deal(org, industry="logistics ", size_band="51-200", problem=slow, solution=cloud, source="email")
        cousin = deal(org, industry="Logistics", problem=slow, size_band="5001+")
        deal(org, industry="Farming", problem=dear, size_band="11-50")
        won = deal(org, stage="won", industry="Logistics", problem=slow, size_band="51-200")

        with org_scope(org):
            found = similar_pursuits(org=org, pursuit_id=asked.pk)
            others = similar_pursuits(org=org, pursuit_id=asked.pk, outcome="won")

        # Both: 3 + 3 + 2 + 1 + 1 (value); the twin's solution is one more. The cousin's size differs; it has no source.
        assert [(each.deal.pursuit_id, round(each.likeness.score, 4)) for each in found] == [
            (twin.pk, round(10 / 13, 4)),
            (cousin.pk, round(7 / 12, 4)),
        ]
        assert found[0].likeness.sentence == (
            "Industry: Logistics; Problem: Slow paperwork; Size of the client: 51–200; Value: Medium; Source: Email"
        )
        assert found[1].likeness.different == ("size_band",)
        assert [each.deal.pursuit_id for each in others] == [won.pk]

    def test_the_source_is_the_channel_of_the_first_signal_and_the_owner_counts_little(self, org):
        problem, owner = ProblemFactory(org=org), UserFactory(first_name="Ann", last_name="Lee")
        asked = deal(org, stage="qual", problem=problem, source="call", owner=owner)
        same = deal(org, problem=problem, source="call", owner=owner)
        with org_scope(org):
            (found,) = similar_pursuits(org=org, pursuit_id=asked.pk)
        assert (found.deal.pursuit_id, found.likeness.score) == (same.pk, 1)
        assert [(trait.feature, trait.label) for trait in found.likeness.shared] == [
            ("problem", problem.name),
            ("value_band", "Medium"),
            ("source", "Call"),
            ("owner", "Ann Lee"),
        ]

    def test_the_rule_weighs(self, org):
        asked, other = (deal(org, stage=stage, industry="Farming") for stage in ("qual", "lost"))
        with org_scope(org):
            assert [each.deal.pursuit_id for each in similar_pursuits(org=org, pursuit_id=asked.pk)] == [other.pk]
        value = {"industry": 0.0, "value_band": 0.0}
        keys = {"rule_type": "memory_rule", "key": "similar_deals", "reason": "Farms differ"}
        set_value(org=org, **keys, value=value, actor=SYSTEM, at=AT)
        with org_scope(org):
            assert similar_pursuits(org=org, pursuit_id=asked.pk) == []

    def test_another_organisation_has_no_deals_here(self, org, other_org):
        asked = deal(org, stage="qual", industry="Farming")
        deal(other_org, industry="Farming")
        with org_scope(org):
            assert similar_pursuits(org=org, pursuit_id=asked.pk) == []
        with org_scope(other_org):
            assert similar_pursuits(org=other_org, pursuit_id=asked.pk) == []


@pytest.mark.django_db
class TestLessons:
    def test_are_the_decisions_and_risks_of_each_deal_the_most_relevant_first(self, org):
        asked, lost = (deal(org, stage=stage, industry="Farming") for stage in ("qual", "lost"))
        decision = remembered(org, lost, "They chose a competitor over the price.")
        risk = remembered(org, lost, "The budget was frozen.", kind="risk")
        remembered(org, lost, "They asked for a brochure.", kind="note")
        elsewhere = AtomFactory(
            org=org,
            proposal=ProposalFactory(org=org, pursuit=lost),
            kind="risk",
            content="The offer came late.",
            through=[lost],
            confidence=Decimal("0.5"),
        )
        with org_scope(org):
            (found,) = lessons_for(org=org, pursuit_id=asked.pk, audience="everyone", at=AT)
        assert [(lesson.atom.pk, lesson.relevance) for lesson in found.lessons] == [
            (decision.pk, 100.0),
            (risk.pk, 90.0),
            (elsewhere.pk, 45.0),
        ]

    def test_only_active_ones_that_the_audience_may_read(self, org, rep, manager):
        asked, lost = (deal(org, stage=stage, industry="Farming") for stage in ("qual", "lost"))
        for_all = remembered(org, lost, "Too dear.")
        for_managers = remembered(org, lost, "Our discount was too small.", audience="managers", kind="risk")
        remembered(org, lost, "I was ill.", audience="author", author=rep.user)
        remembered(org, lost, "Old news.", state="archived", archived_at=AT)
        remembered(org, lost, "", state="redacted", redacted_at=AT)
        with org_scope(org):
            (everyone,) = lessons_for(org=org, pursuit_id=asked.pk, audience="everyone", at=AT)
            (managers,) = lessons_for(org=org, pursuit_id=asked.pk, audience="managers", at=AT)
        assert [lesson.atom.pk for lesson in everyone.lessons] == [for_all.pk]
        assert [lesson.atom.pk for lesson in managers.lessons] == [for_all.pk, for_managers.pk]
        for membership, seen in ((rep, everyone), (manager, managers)):
            keys = {"org": org, "pursuit_id": asked.pk, "outcome": "lost", "at": AT}
            assert recall_similar_deals(**keys, actor=actor_of(membership)) == [seen]

    def test_at_most_three_of_a_deal_and_deals_without_are_left_to_the_page(self, org):
        asked, lost, silent = (deal(org, stage=stage, industry="Farming") for stage in ("qual", "lost", "lost"))
        kept = [remembered(org, lost, f"Reason {n}", occurred_at=AT - timedelta(days=n)) for n in range(5)][:3]
        with org_scope(org):
            (taught,) = lessons_for(org=org, pursuit_id=asked.pk, audience="everyone", at=AT)
        assert [lesson.atom.pk for lesson in taught.lessons] == [atom.pk for atom in kept]
        found = recall_similar_deals(org=org, pursuit_id=asked.pk, outcome="lost", actor=SYSTEM, at=AT)
        assert {each.similar.deal.pursuit_id: len(each.lessons) for each in found} == {lost.pk: 3, silent.pk: 0}

    def test_an_atom_that_loses_its_link_is_no_lesson_any_more(self, org):
        asked, lost = (deal(org, stage=stage, industry="Farming") for stage in ("qual", "lost"))
        atom = remembered(org, lost, "Too dear.")
        AtomLink.all_orgs.filter(atom=atom).delete()
        with org_scope(org):
            assert lessons_for(org=org, pursuit_id=asked.pk, audience="everyone", at=AT) == []

    def test_a_strangers_pursuit_does_not_exist(self, org, other_org):
        theirs = deal(other_org, stage="qual")
        with pytest.raises(NotFound):
            recall_similar_deals(org=org, pursuit_id=theirs.pk, outcome="lost", actor=SYSTEM, at=AT)

    def test_an_open_stage_is_no_outcome(self, org):
        asked = deal(org, stage="qual")
        with pytest.raises(InvalidInput, match="'pink' is not one of: won, lost"):
            recall_similar_deals(org=org, pursuit_id=asked.pk, outcome="pink", actor=SYSTEM, at=AT)


@pytest.mark.django_db
class TestEndpoint:
    def test_answers_deals_with_reasons_and_sources(self, org, as_rep):
        problem = ProblemFactory(org=org, name="Slow paperwork")
        asked = deal(org, stage="qual", industry="Farming", problem=problem)
        lost = deal(org, industry="Farming", problem=problem)
        atom = remembered(org, lost, "They chose a competitor.")
        answer = as_rep.get(f"/api/memory/similar?pursuit_id={asked.pk}")
        assert answer.status_code == 200, answer.content
        (found,) = answer.json()["data"]
        assert (found["pursuit_id"], found["outcome"], found["likeness"]) == (lost.pk, "lost", 1.0)
        assert found["explanation"] == "Industry: Farming; Problem: Slow paperwork; Value: Medium"
        (lesson,) = found["lessons"]
        source = atom.sources.get()
        assert (lesson["atom_id"], lesson["content"]) == (atom.pk, "They chose a competitor.")
        assert lesson["sources"] == [{"source_type": "activity", "source_id": source.source_id, "url": ""}]

    def test_a_question_is_answered_from_inside_the_deals(self, org, as_rep):
        asked, lost = (deal(org, stage=stage, industry="Farming") for stage in ("qual", "lost"))
        remembered(org, lost, "The delivery would have come too late.")
        price = remembered(org, lost, "They chose a competitor over the price.", occurred_at=AT - timedelta(days=90))
        remembered(org, deal(org, industry="Banking"), "The price of the competitor was lower.")
        answer = as_rep.get(f"/api/memory/similar?pursuit_id={asked.pk}&q=competitor")
        assert answer.status_code == 200, answer.content
        (found,) = answer.json()["data"]
        assert [lesson["atom_id"] for lesson in found["lessons"]] == [price.pk]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("", "pursuit_id"),
            ("pursuit_id=x", "pursuit_id"),
            ("pursuit_id=0", "pursuit_id"),
            ("pursuit_id={pk}&limit=51", "limit"),
            ("pursuit_id={pk}&outcome=qual", "outcome"),
            ("pursuit_id={pk}&stage=lost", "stage"),
        ],
    )
    def test_says_what_is_wrong(self, org, as_rep, query, field):
        answer = as_rep.get(f"/api/memory/similar?{query.format(pk=deal(org, stage='qual').pk)}")
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])

    def test_a_strangers_pursuit_is_not_found(self, org, as_stranger):
        assert as_stranger.get(f"/api/memory/similar?pursuit_id={deal(org, stage='qual').pk}").status_code == 404

    def test_more_deals_and_atoms_cost_no_more_queries(self, org, as_rep):
        asked = deal(org, stage="qual", industry="Farming")

        def statements() -> list[str]:
            with counted_queries() as found:
                as_rep.get(f"/api/memory/similar?pursuit_id={asked.pk}")
            return found

        remembered(org, deal(org, industry="Farming"), "Too dear.")
        before = statements()
        for n in range(8):
            remembered(org, deal(org, industry="Farming"), f"Reason {n}")
        # Who asks; the pursuit; the nearest, their traits, the ranked atoms, these and their sources.
        assert (len(statements()), len(before)) == (7, 7), before
