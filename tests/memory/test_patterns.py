"""How often deals with a trait were won, with the numbers behind it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowledger.configuration.services import set_value
from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from memory.intervals import difference, wilson
from memory.services import outcome_patterns
from memory.services.patterns import OutcomePatterns, Pattern, Verdict
from tests.factories import UserFactory
from tests.memory.closed_deals import deal, remembered
from tests.queries import counted_queries
from tests.workstream.factories import AT, ProblemFactory, SolutionFactory, TagFactory

SYSTEM = Actor.system("tests")
DAY = timedelta(days=1)


class TestIntervals:
    @pytest.mark.parametrize(
        ("successes", "trials", "low", "high"),
        [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
    )
    def test_of_wilson(self, successes, trials, low, high):
        found = wilson(successes, trials)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)

    @pytest.mark.parametrize(
        ("counts", "low", "high"),
        [
            # Newcombe 1998, table II, method 10.
            ((56, 70, 48, 80), 0.0524, 0.3339),
            ((9, 10, 3, 10), 0.1705, 0.8090),
            ((6, 7, 2, 7), 0.0582, 0.8062),
            ((5, 56, 0, 29), -0.0381, 0.1926),
            ((0, 10, 0, 20), -0.1611, 0.2775),
            ((10, 10, 0, 20), 0.6791, 1.0),
        ],
    )
    def test_of_a_difference(self, counts, low, high):
        found = difference(*counts)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)

    @pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 4)])
    def test_of_no_share_there_is_none(self, successes, trials):
        with pytest.raises(ValueError):
            wilson(successes, trials)
        with pytest.raises(ValueError):
            difference(1, 2, successes, trials)


def patterns(org, **more) -> OutcomePatterns:
    keys = {"since": AT - 30 * DAY, "until": AT + DAY, "actor": SYSTEM, "at": AT}
    return outcome_patterns(org=org, **{**keys, **more})


def one(org, trait: str, value: str, **more) -> Pattern:
    (found,) = patterns(org, traits=[trait], value=value, **more).patterns
    return found


def counts(pattern: Pattern) -> tuple[int, ...]:
    return (pattern.with_won, pattern.with_lost, pattern.without_won, pattern.without_lost, pattern.unknown)


def close(org, won: int, lost: int, **traits) -> None:
    for number in range(won + lost):
        deal(org, stage="won" if number < won else "lost", **traits)


@pytest.mark.django_db
class TestOutcomePatterns:
    def test_hold_those_with_a_trait_against_those_known_to_be_without(self, org):
        close(org, 9, 1, industry="Farming")
        close(org, 3, 7, industry="Banking")
        close(org, 2, 1)
        found = patterns(org, traits=["industry"])
        assert (found.won, found.lost, found.compared, found.by_chance) == (14, 9, 2, 0.1)
        farming, banking = found.patterns
        assert (farming.label, banking.label) == ("Farming", "Banking")
        assert (counts(farming), counts(banking)) == ((9, 1, 3, 7, 3), (3, 7, 9, 1, 3))
        assert (farming.verdict, banking.verdict) == (Verdict.MORE, Verdict.LESS)
        assert (farming.rate_with.share, farming.rate_without.share) == (0.9, 0.3)
        assert farming.rate_with.interval == wilson(9, 10)
        assert farming.difference == difference(9, 10, 3, 10)
        assert farming.sentence == (
            "Industry Farming: 9 of 10 won; without it 3 of 10. The difference is +60 percentage points, with 95 % "
            "confidence between +17 and +81."
        )

    def test_say_so_when_it_may_be_chance(self, org):
        close(org, 5, 5, size_band="11-50")
        close(org, 4, 6, size_band="51-200")
        found = one(org, "size_band", "11-50")
        assert (found.verdict, found.label) == (Verdict.UNCLEAR, "11–50")
        assert found.sentence.endswith("; it may as well be chance.")

    def test_claim_nothing_of_too_few(self, org):
        close(org, 7, 0, industry="Farming")
        close(org, 0, 30, industry="Banking")
        assert patterns(org).compared == 0
        assert patterns(org, traits=["industry"]).patterns == ()
        found = one(org, "industry", " FARMING ")
        assert (counts(found), found.verdict) == ((7, 0, 0, 30, 0), Verdict.TOO_FEW)
        assert (found.rate_with, found.rate_without, found.difference) == (None, None, None)
        assert found.sentence == "Industry Farming: 7 of 7 won; without it 0 of 30. These are too few to compare."
        close(org, 1, 0, industry="Farming")
        assert one(org, "industry", "farming").verdict is Verdict.MORE
        set_value(
            org=org,
            rule_type="memory_rule",
            key="patterns",
            value={"least_with": 9, "least_without": 8, "months": 24},
            reason="Fewer prove nothing",
            actor=SYSTEM,
            at=AT,
        )
        assert one(org, "industry", "farming").verdict is Verdict.TOO_FEW

    def test_know_every_trait_of_a_deal(self, org):
        problem, solution = ProblemFactory(org=org, name="Waste"), SolutionFactory(org=org, name="Scanner")
        tag, other = TagFactory(org=org, name="Urgent"), TagFactory(org=org, name="Old")
        ann = UserFactory(first_name="Ann", last_name="Lee")
        traits = {"problem": problem, "solution": solution, "value_band": "high", "source": "call", "country": "DE"}
        deal(org, stage="won", owner=ann, tags=(tag, other), **traits)
        deal(org, stage="lost")
        expected = {
            ("problem", str(problem.pk)): ("Waste", (1, 0, 0, 0, 1)),
            ("solution", str(solution.pk)): ("Scanner", (1, 0, 0, 0, 1)),
            ("value_band", "high"): ("High", (1, 0, 0, 1, 0)),
            ("source", "call"): ("Call", (1, 0, 0, 0, 1)),
            ("country", "de"): ("DE", (1, 0, 0, 0, 1)),
            ("owner", str(ann.pk)): ("Ann Lee", (1, 0, 0, 0, 1)),
            ("tag", "urgent"): ("Urgent", (1, 0, 0, 1, 0)),
            ("tag", "old"): ("Old", (1, 0, 0, 1, 0)),
        }
        found = {key: one(org, *key) for key in expected}
        assert {key: (pattern.label, counts(pattern)) for key, pattern in found.items()} == expected

    def test_of_what_was_remembered_only_what_was_said_before_the_submission_counts(self, org):
        """What is said of a loss afterwards would foretell every loss."""
        before, after = AT - 10 * DAY, AT
        warned, silent, unheard, hidden = (deal(org, stage=stage) for stage in ("lost", "won", "lost", "lost"))
        remembered(org, warned, "The budget may be cut.", kind="risk", occurred_at=before)
        remembered(org, silent, "They visited us.", kind="note", occurred_at=before)
        remembered(org, silent, "The price was a risk.", kind="risk", occurred_at=after)
        remembered(org, unheard, "Too dear.", kind="risk", occurred_at=after)
        remembered(org, hidden, "Do not tell.", kind="risk", occurred_at=before, audience="managers")
        found = one(org, "remembered", "risk")
        assert (found.label, counts(found)) == ("Risk", (0, 1, 1, 0, 2))

    def test_a_redacted_atom_is_remembered_no_more(self, org):
        lost = deal(org)
        remembered(org, lost, "", kind="risk", occurred_at=AT - 10 * DAY, state="redacted", redacted_at=AT)
        assert patterns(org, traits=["remembered"], value="risk").patterns == ()

    def test_count_what_was_closed_in_the_time(self, org):
        for closed_at in (AT - 31 * DAY, AT - 30 * DAY, AT, AT + DAY):
            deal(org, stage="won", industry="Farming", closed_at=closed_at)
        deal(org, stage="pink", industry="Farming")
        assert counts(one(org, "industry", "farming")) == (2, 0, 0, 0, 0)

    def test_another_organisation_counts_for_itself(self, org, other_org):
        deal(org, stage="won", industry="Farming")
        deal(other_org, stage="lost", industry="Farming")
        assert counts(one(org, "industry", "farming")) == (1, 0, 0, 0, 0)
        assert counts(one(other_org, "industry", "farming")) == (0, 1, 0, 0, 0)

    def test_a_trait_that_nobody_knows_and_a_value_of_none_are_refused(self, org):
        with pytest.raises(InvalidInput, match="'mood' is not one of: industry"):
            patterns(org, traits=["mood"])
        for traits in ([], ["industry", "country"]):
            with pytest.raises(InvalidInput, match="A value belongs to one trait"):
                patterns(org, traits=traits, value="farming")


@pytest.mark.django_db
class TestEndpoint:
    PATH = "/api/memory/patterns?from=2026-02-01&to=2026-03-31"

    def test_answers_rates_with_their_numbers(self, org, as_viewer):
        close(org, 9, 1, industry="Farming")
        close(org, 3, 7, industry="Banking")
        answer = as_viewer.get(f"{self.PATH}&trait=industry")
        assert answer.status_code == 200, answer.content
        body = answer.json()
        assert body["totals"] == {"won": 12, "lost": 8, "compared": 2, "by_chance": 0.1}
        row = body["data"][0]
        assert (row["value"], row["verdict"], row["with_won"], row["with_lost"]) == ("farming", "more_often_won", 9, 1)
        assert (row["win_rate_with_percent"], row["with_low_percent"], row["with_high_percent"]) == (90.0, 59.6, 98.2)
        assert (row["difference_points"], row["difference_low_points"]) == (60.0, 17.1)

    def test_is_a_file_on_request(self, org, as_viewer):
        close(org, 9, 1, industry="Farming")
        close(org, 3, 7, industry="Banking")
        answer = as_viewer.get(f"{self.PATH}&trait=industry&format=csv")
        lines = b"".join(answer.streaming_content if answer.streaming else [answer.content]).decode().splitlines()
        assert lines[1].startswith("industry,farming,Farming,more_often_won,9,1,3,7,0,90.0")

    def test_says_what_is_wrong(self, as_viewer):
        for query, field in (("trait=mood", "trait"), ("value=x", "value"), ("colour=red", "colour")):
            answer = as_viewer.get(f"{self.PATH}&{query}")
            assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])

    def test_more_deals_cost_no_more_queries(self, org, as_viewer):
        def statements() -> list[str]:
            with counted_queries() as found:
                as_viewer.get(self.PATH)
            return found

        close(org, 1, 1, industry="Farming")
        before = statements()
        close(org, 9, 9, industry="Banking", source="call")
        # Who asks; the traits; the totals.
        assert (len(statements()), len(before)) == (3, 3), before
