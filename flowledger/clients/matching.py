"""How likely two people, or two companies, are the same when no key says it: scores with their reasons. Pure.

After Fellegi and Sunter ("A theory for record linkage", JASA 1969): each field that both sides have adds the logarithm
of m/u to the odds that they began with, where m is how often the field agrees in that way for the same person and u how
often for two others. The points are binary logarithms; a score is the probability that they come to. Fields that one
side lacks say nothing. The constants are assumptions about an organisation with some 100,000 contacts and 30,000
companies, corrected on labelled data (`tests/bench/identity`) for fields that depend on each other: colleagues share
family names, switchboards and domains more often than strangers do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from types import MappingProxyType

from rapidfuzz.distance import OSA

from flowledger.clients.company_names import NamesAgree, are_apart, compare_companies, place_of
from flowledger.clients.normalising import is_free_mail
from flowledger.clients.person_names import (
    Alike,
    NameAgreement,
    compare_names,
    fits_mailbox,
    is_role_mailbox,
    name_of_mailbox,
    words_of,
)


@dataclass(frozen=True)
class Company:
    """What is known of a company; a signal's has no `client_id`."""

    name: str = ""
    domains: tuple[str, ...] = ()
    country: str = ""
    client_id: int | None = None

    @property
    def place(self) -> str:
        """Its country, else those of its legal form."""
        return place_of(self.name, self.country)


@dataclass(frozen=True)
class Person:
    """What is known of a person; addresses and phones in the spelling of their keys."""

    name: str = ""
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    company: Company = Company()


@dataclass(frozen=True)
class Term:
    """What one field says, for (above zero) or against: binary logarithm of its likelihood ratio, and a sentence."""

    field: str
    points: float
    sentence: str

    def as_dict(self) -> dict[str, object]:
        """For the API and for keeping."""
        return {"field": self.field, "points": round(self.points, 1), "sentence": self.sentence}


@dataclass(frozen=True)
class Score:
    """The probability that two are the same, to two digits, rounded down; and what it is made of."""

    value: Decimal
    terms: tuple[Term, ...]

    @property
    def points(self) -> float:
        """The terms together, without the odds that they began with; orders scores that round to the same."""
        return sum(term.points for term in self.terms)


# One in so many candidates is the same before anything is compared.
PEOPLE_PRIOR = -16.5
COMPANY_PRIOR = -15.0

GIVEN: Mapping[Alike, float] = MappingProxyType(
    {
        Alike.EQUAL: 7.0,
        Alike.NICKNAME: 5.5,
        Alike.SOUND: 5.5,
        Alike.TYPO: 4.5,
        Alike.INITIAL: -0.5,
        Alike.DIFFERENT: -6.0,
    }
)
FAMILY: Mapping[Alike, float] = MappingProxyType(
    {
        Alike.EQUAL: 8.5,
        Alike.NICKNAME: 5.0,
        Alike.SOUND: 7.0,
        Alike.TYPO: 6.0,
        Alike.INITIAL: 0.0,
        Alike.DIFFERENT: -5.0,
    }
)
# Colleagues are relatives more often than strangers.
FAMILY_AMONG_COLLEAGUES = -2.0
COMPANY_NAMES: Mapping[NamesAgree, float] = MappingProxyType(
    {
        NamesAgree.EQUAL: 18.3,
        NamesAgree.REORDERED: 18.2,
        NamesAgree.ABBREVIATED: 17.9,
        NamesAgree.HEARD: 17.0,
        NamesAgree.MISSPELLED: 16.5,
        NamesAgree.NOISE: 16.5,
        NamesAgree.SHORTENED: 14.0,
        NamesAgree.INITIALS: 12.5,
        NamesAgree.DIFFERENT: -6.0,
    }
)
# For two people: the same company or another of its group says nearly the same.
COMPANY_OF_PEOPLE: Mapping[NamesAgree, float] = MappingProxyType(
    {
        NamesAgree.EQUAL: 11.5,
        NamesAgree.REORDERED: 11.0,
        NamesAgree.ABBREVIATED: 10.5,
        NamesAgree.HEARD: 10.0,
        NamesAgree.MISSPELLED: 9.0,
        NamesAgree.NOISE: 9.5,
        NamesAgree.SHORTENED: 7.5,
        NamesAgree.INITIALS: 6.0,
        NamesAgree.DIFFERENT: -3.0,
    }
)
_GIVEN_SAYS = {
    Alike.EQUAL: "the given name is the same",
    Alike.NICKNAME: "one given name is a short form of the other",
    Alike.SOUND: "the given names sound alike",
    Alike.TYPO: "the given names differ by a slip",
    Alike.INITIAL: "the given name is abbreviated",
    Alike.DIFFERENT: "the given names differ",
}
_FAMILY_SAYS = {
    Alike.EQUAL: "the family name is the same",
    Alike.NICKNAME: "the family names are variants",
    Alike.SOUND: "the family names sound alike",
    Alike.TYPO: "the family names differ by a slip",
    Alike.INITIAL: "the family name is abbreviated",
    Alike.DIFFERENT: "the family names differ",
}
_COMPANY_SAYS = {
    NamesAgree.EQUAL: "The company's name is the same.",
    NamesAgree.REORDERED: "The company's name has the same words in another order.",
    NamesAgree.ABBREVIATED: "The company's name is abbreviated.",
    NamesAgree.HEARD: "The companies' names sound alike.",
    NamesAgree.MISSPELLED: "The companies' names differ by a slip.",
    NamesAgree.NOISE: "The companies' names differ by a place, a department or a kind of group.",
    NamesAgree.SHORTENED: "One company's name is the beginning or a part of the other.",
    NamesAgree.INITIALS: "One company's name is the initials of the other.",
    NamesAgree.DIFFERENT: "The companies' names differ.",
}


def score_people(one: Person, other: Person) -> Score:
    """How likely two records are one person. Symmetric; two records that share no field are as likely as strangers."""
    company = _company_of_people(one.company, other.company)
    are_colleagues = company is not None and company.points > 0
    terms = [
        _names(one, other, are_colleagues=are_colleagues),
        _emails(one, other),
        _phones(one, other, are_colleagues=are_colleagues),
        company,
    ]
    return _score(PEOPLE_PRIOR, terms)


def score_companies(one: Company, other: Company) -> Score:
    """How likely two records are one company. Symmetric.

    The same name in another country, or at another domain, may be a subsidiary: such a pair never scores as certain.
    """
    terms = [_company_names(one, other), _domains(one, other), _countries(one, other)]
    return _score(COMPANY_PRIOR, terms)


def probability(points: float) -> Decimal:
    """The probability that so many points of odds are, to two digits; rounded down, so that a threshold is reached."""
    odds = 2.0 ** max(min(points, 60.0), -60.0)
    return Decimal(odds / (1.0 + odds)).quantize(Decimal("0.01"), rounding=ROUND_DOWN)


def _score(prior: float, terms: Iterable[Term | None]) -> Score:
    found = tuple(term for term in terms if term is not None)
    return Score(probability(prior + sum(term.points for term in found)), found)


def _names(one: Person, other: Person, *, are_colleagues: bool) -> Term | None:
    ours, theirs = one.name, other.name
    derived = False
    if not words_of(ours) or not words_of(theirs):
        # An address that spells a name stands in for one that is missing.
        ours = ours if words_of(ours) else _spelled(one.emails)
        theirs = theirs if words_of(theirs) else _spelled(other.emails)
        derived = True
    found = compare_names(ours, theirs)
    if found is None:
        return None
    points = _name_points(found, are_colleagues=are_colleagues) - (1.0 if derived else 0.0)
    source = " (as the address spells it)" if derived else ""
    return Term("name", points, _name_sentence(found, ours, theirs, source))


def _name_points(found: NameAgreement, *, are_colleagues: bool) -> float:
    if found.is_single and found.given is Alike.EQUAL:
        return 12.0
    if found.is_single:
        return -3.0 if found.family is Alike.DIFFERENT else 2.0 if found.family is Alike.INITIAL else 5.0
    points = GIVEN[found.given] + FAMILY[found.family]
    if found.family is not Alike.DIFFERENT and are_colleagues:
        points += FAMILY_AMONG_COLLEAGUES
    return points - (1.0 if found.is_swapped else 0.0) - (2.5 if found.is_part else 0.0)


def _name_sentence(found: NameAgreement, ours: str, theirs: str, source: str) -> str:
    names = f"'{ours.strip()[:80]}' and '{theirs.strip()[:80]}'{source}"
    if found.is_single:
        fits = "do not fit" if found.family is Alike.DIFFERENT else "fit as far as they go"
        return f"{names} {fits}."
    turned = ", in the other order" if found.is_swapped else ""
    part = " in part" if found.is_part else ""
    return f"{names}: {_GIVEN_SAYS[found.given]}, {_FAMILY_SAYS[found.family]}{part}{turned}."


def _spelled(emails: Iterable[str]) -> str:
    return next((name for email in emails if (name := name_of_mailbox(email))), "")


def _emails(one: Person, other: Person) -> Term | None:
    if one.emails and other.emails:
        terms = [_two_emails(a, b, one, other) for a in one.emails for b in other.emails]
        return max(terms, key=lambda term: term.points)
    for named, addressed in ((one, other), (other, one)):
        for email in addressed.emails:
            # The address of the one is written after the name of the other; a name of its own has said so already.
            if not words_of(addressed.name) and not name_of_mailbox(email) and fits_mailbox(named.name, email):
                return Term("email", 6.0, f"{email} is written after the name '{named.name.strip()[:80]}'.")
    return None


def _two_emails(a: str, b: str, one: Person, other: Person) -> Term:
    pair = f"{a} and {b}"
    if a == b:
        if is_role_mailbox(a):
            return Term("email", 4.0, f"Both use {a}, which several people may read.")
        return Term("email", 20.0, f"The address {a} is the same.")
    if is_role_mailbox(a) or is_role_mailbox(b):
        return Term("email", 0.0, f"{pair}: one of them is read by several people.")
    (ours, _, our_domain), (theirs, _, their_domain) = a.partition("@"), b.partition("@")
    slips = OSA.distance(ours, theirs, score_cutoff=2)
    if our_domain == their_domain and (_differ_in_digits(ours, theirs) or _mirror_names(a, b, one, other)):
        return Term("email", -5.0, f"{pair} are two mailboxes, as two people have them.")
    if our_domain == their_domain:
        if slips <= (1 if len(ours) < 6 else 2) and len(ours) >= 5:
            return Term("email", 9.0 if is_free_mail(our_domain) else 3.0, f"{pair} differ by a slip.")
        if fits_mailbox(one.name or other.name, a) and fits_mailbox(other.name or one.name, b):
            return Term("email", 0.0, f"{pair} are two spellings of one name.")
        return Term("email", -4.0, f"{pair} are two mailboxes of one provider.")
    if slips == 0 and len(ours) >= 4 and _domains_alike(our_domain, their_domain):
        return Term("email", 6.0, f"{pair} have the same name before the @, and domains that are alike.")
    if slips == 0 and len(ours) >= 6:
        return Term("email", 2.0, f"{pair} have the same name before the @.")
    if is_free_mail(our_domain) != is_free_mail(their_domain):
        return Term("email", -0.5, f"{pair} differ; one of them is private.")
    return Term("email", -2.0, f"{pair} differ.")


def _differ_in_digits(one: str, other: str) -> bool:
    """Whether numbers tell two mailboxes apart: ann1@ and ann2@ are two people."""
    return one != other and one.rstrip("0123456789") == other.rstrip("0123456789") and one[-1:].isdigit()


def _mirror_names(a: str, b: str, one: Person, other: Person) -> bool:
    """Whether the addresses differ as the names do: schmidt@ and schmitt@ of Schmidt and Schmitt are two people."""
    is_own = fits_mailbox(one.name, a) and fits_mailbox(other.name, b)
    return is_own and not fits_mailbox(one.name, b) and not fits_mailbox(other.name, a)


def _domains_alike(one: str, other: str) -> bool:
    """Whether two domains differ by a slip, by their ending, or by words that one has more."""
    if is_free_mail(one) or is_free_mail(other):
        return OSA.distance(one, other, score_cutoff=2) <= 2
    ours, theirs = one.partition(".")[0], other.partition(".")[0]
    is_part = min(len(ours), len(theirs)) >= 4 and (ours.startswith(theirs) or theirs.startswith(ours))
    return is_part or OSA.distance(one, other, score_cutoff=2) <= 2


def _phones(one: Person, other: Person, *, are_colleagues: bool) -> Term | None:
    if not one.phones or not other.phones:
        return None
    if shared := sorted(set(one.phones) & set(other.phones)):
        points = 4.0 if are_colleagues else 11.0
        return Term("phone", points, f"The phone number {shared[0]} is the same.")
    slips = min(OSA.distance(a, b, score_cutoff=2) for a in one.phones for b in other.phones)
    if slips == 1 and not are_colleagues:
        return Term("phone", 6.0, "The phone numbers differ by one digit.")
    if slips == 1:
        return Term("phone", 0.0, "The phone numbers differ by one digit, as extensions do.")
    return Term("phone", -1.0, "The phone numbers differ.")


def _company_of_people(one: Company, other: Company) -> Term | None:
    if one.client_id is not None and one.client_id == other.client_id:
        return Term("company", 13.0, "Both belong to the same client.")
    if _is_blank(one) or _is_blank(other):
        return None
    if shared := sorted(set(one.domains) & set(other.domains)):
        return Term("company", 12.0, f"Both are at {shared[0]}.")
    found = compare_companies(one.name or _label(one), other.name or _label(other))
    points = max(
        COMPANY_OF_PEOPLE[found] if found is not None else -3.0,
        9.0 if any(_domains_alike(a, b) for a in one.domains for b in other.domains) else -3.0,
    )
    if points < 0:
        return Term("company", points, "The companies differ.")
    if one.country and other.country and one.country != other.country:
        points -= 2.0
    return Term("company", points, "The companies are alike.")


def _is_blank(company: Company) -> bool:
    return not company.name and not company.domains


def _company_names(one: Company, other: Company) -> Term | None:
    ours, theirs = one.name or _label(one), other.name or _label(other)
    found = compare_companies(ours, theirs)
    if found is None:
        return None
    points = COMPANY_NAMES[found] - (0.0 if one.name and other.name else 2.0)
    return Term("company_name", points, f"'{ours.strip()[:80]}' and '{theirs.strip()[:80]}': {_COMPANY_SAYS[found]}")


def _label(company: Company) -> str:
    """What a domain spells in place of a missing name."""
    return company.domains[0].partition(".")[0].replace("-", " ") if company.domains else ""


def _domains(one: Company, other: Company) -> Term | None:
    if not one.domains or not other.domains:
        return None
    if shared := sorted(set(one.domains) & set(other.domains)):
        return Term("domain", 20.0, f"The domain {shared[0]} is the same.")
    is_same_name = bool(one.name and other.name) and compare_companies(one.name, other.name) is NamesAgree.EQUAL
    terms = [_two_domains(a, b, is_same_name=is_same_name) for a in one.domains for b in other.domains]
    return max(terms, key=lambda term: term.points)


def _two_domains(a: str, b: str, *, is_same_name: bool) -> Term:
    ours, our_suffix = a.split(".", 1)
    theirs, their_suffix = b.split(".", 1)
    if ours == theirs:
        return Term("domain", -1.5, f"{a} and {b} have the same name under another ending, as subsidiaries do.")
    if our_suffix == their_suffix and len(ours) >= 6 and OSA.distance(ours, theirs, score_cutoff=1) <= 1:
        # Where the names differ by the same slip, the domains say nothing new.
        return Term("domain", 2.0 if is_same_name else -1.5, f"{a} and {b} differ by one letter.")
    if is_same_name:
        return Term("domain", -2.5, f"The name stands under two domains, {a} and {b}, as subsidiaries do.")
    return Term("domain", -5.0, f"The domains {a} and {b} differ.")


def _countries(one: Company, other: Company) -> Term | None:
    if not one.country or not other.country:
        if not are_apart(one.place, other.place):
            return None
        return Term("country", -2.5, f"The legal forms are of {one.place} and of {other.place}, as subsidiaries' are.")
    if one.country == other.country:
        return Term("country", 1.0, f"Both are in {one.country}.")
    return Term("country", -6.0, f"One is in {one.country}, the other in {other.country}, as subsidiaries are.")
