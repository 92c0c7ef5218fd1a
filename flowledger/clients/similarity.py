"""Choosing among people and companies that are alike: which one is meant for certain, and whom to ask about. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeVar

from flowledger.clients.company_names import (
    NamesAgree,
    are_apart,
    are_kin,
    compare_companies,
    names_a_country,
    words_of,
)
from flowledger.clients.matching import Company, Person, Score, score_companies, score_people

T = TypeVar("T", Person, Company)

SURELY_NAMED = frozenset({NamesAgree.EQUAL, NamesAgree.REORDERED, NamesAgree.ABBREVIATED, NamesAgree.HEARD})

# Two candidates whose points differ by less are equally likely: one is asked about, none is taken.
TOO_CLOSE = 3.0
# So many pairs one signal may put into the review queue.
MOST_SUGGESTIONS = 2


@dataclass(frozen=True)
class Thresholds:
    """From which score on somebody is meant, and from which a person is asked."""

    auto: Decimal = Decimal("0.90")
    review: Decimal = Decimal("0.60")


@dataclass(frozen=True)
class Candidates:
    """Whom a signal may mean besides those that its keys name, by their ids; found by blocking."""

    contacts: Mapping[int, Person] = field(default_factory=dict)
    clients: Mapping[int, Company] = field(default_factory=dict)
    thresholds: Thresholds = Thresholds()

    def without(self, client_id: int | None) -> Candidates:
        """The same without one client."""
        return replace(self, clients={pk: one for pk, one in self.clients.items() if pk != client_id})


NOBODY = Candidates()


@dataclass(frozen=True)
class Likely:
    """A candidate and how likely it is."""

    pk: int
    score: Score


@dataclass(frozen=True)
class Choice:
    """The one that is meant, or those to ask about."""

    chosen: Likely | None = None
    suggested: tuple[Likely, ...] = ()
    # The best of several that are certain, of whom none is chosen for that.
    tied: Likely | None = None

    def settled(self) -> Choice:
        """The same, where nobody new can be made that would be told from those that are known: the best is meant."""
        return self if self.tied is None else Choice(chosen=self.tied)


def choose_contact(asked: Person, candidates: Candidates) -> Choice:
    """The contact that a signal means, by everything that it says of the person."""
    likely = likely_contacts(asked, candidates)
    return _choose(likely, candidates.contacts, candidates.thresholds, score_people)


def choose_client(asked: Company, candidates: Candidates) -> Choice:
    """The client that a signal means, by everything that it says of the company."""
    likely = likely_clients(asked, candidates)
    return _choose(likely, candidates.clients, candidates.thresholds, score_companies)


@dataclass(frozen=True)
class Member:
    """The company that a signal names at the domain of another one of its group; no `pk` for one that is not known."""

    pk: int | None = None


def member_of_group(asked: Company, at_domain: int, candidates: Candidates) -> Member | None:
    """Whom a signal means that writes from the domain of one company and names another one of the same group.

    None: the company of the domain itself; brands, departments and trades are no companies of their own.
    """
    owner = candidates.clients.get(at_domain)
    if owner is None or not asked.name:
        return None
    agree = compare_companies(asked.name, owner.name)
    if agree is None or agree >= NamesAgree.NOISE or not {*words_of(asked.name)} - {*words_of(owner.name)}:
        return None
    for pk, other in sorted(candidates.clients.items()):
        is_named = compare_companies(asked.name, other.name) in SURELY_NAMED
        is_elsewhere = are_apart(asked.place, other.place)
        if pk != at_domain and is_named and not is_elsewhere and are_kin(owner.name, other.name):
            return Member(pk)
    is_abroad = are_apart(asked.country, owner.country) and are_kin(asked.name, owner.name)
    if is_abroad or (agree is NamesAgree.SHORTENED and names_a_country(asked.name, owner.name)):
        return Member()
    return None


def likely_contacts(asked: Person, candidates: Candidates) -> list[Likely]:
    """The contacts that a person would be asked about, and those who are certain; the most likely first."""
    return _likely(asked, candidates.contacts, candidates.thresholds, score_people)


def likely_clients(asked: Company, candidates: Candidates) -> list[Likely]:
    """The clients that a person would be asked about, and those that are certain; the most likely first."""
    return _likely(asked, candidates.clients, candidates.thresholds, score_companies)


def _likely(
    asked: T, candidates: Mapping[int, T], thresholds: Thresholds, score: Callable[[T, T], Score]
) -> list[Likely]:
    scored = [Likely(pk, score(asked, facts)) for pk, facts in candidates.items()]
    likely = [one for one in scored if one.score.value >= thresholds.review]
    return sorted(likely, key=lambda one: (-one.score.points, one.pk))


def _choose(
    likely: Sequence[Likely], candidates: Mapping[int, T], thresholds: Thresholds, score: Callable[[T, T], Score]
) -> Choice:
    if not likely:
        return Choice()
    best, suggested = likely[0], tuple(likely[:MOST_SUGGESTIONS])
    if best.score.value < thresholds.auto:
        return Choice(suggested=suggested)
    if _is_tied(best, likely[1:], candidates, thresholds, score):
        return Choice(suggested=suggested, tied=best)
    return Choice(chosen=best)


def _is_tied(
    best: Likely,
    others: Sequence[Likely],
    candidates: Mapping[int, T],
    thresholds: Thresholds,
    score: Callable[[T, T], Score],
) -> bool:
    """Whether somebody else is about as likely, who is not probably the same themselves."""
    close = [one for one in others if best.score.points - one.score.points < TOO_CLOSE]
    return any(score(candidates[best.pk], candidates[one.pk]).value < thresholds.review for one in close)
