"""The companies and people of the labelled data, as they really are."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowledger.clients import normalising
from tests.bench.identity import stock
from tests.bench.identity.stock import Country


@dataclass(frozen=True)
class Company:
    """One company; `alike` is the company that it is easily taken for, `parent` the one that it belongs to."""

    id: int
    core: str
    trade: str
    legal_form: str
    domain: str
    other_domain: str
    country: Country
    switchboard: str
    address_pattern: str
    known: bool
    parent: int | None = None
    alike: int | None = None
    has_own_domain: bool = True

    @property
    def name(self) -> str:
        return " ".join(word for word in (self.core, self.trade, self.legal_form) if word)


@dataclass(frozen=True)
class Person:
    """One person with an employer at the time that the base knows; `resembles` is the person they are no kin of."""

    id: int
    given: str
    middle: str
    family: str
    country: Country
    is_woman: bool
    job_title: str
    honorific: str
    # Names of other scripts: whether their registers, and with them the base, write them in Latin letters.
    is_latin: bool
    company: int
    email: str
    private_email: str
    mobile: str
    phone: str
    known: bool
    resembles: int | None = None

    @property
    def name(self) -> str:
        """As the base writes it."""
        name = f"{self.given} {self.family}"
        return latin(name) if self.is_latin else name


class Draws:
    """Chance with the shapes that names and numbers have."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._weights = [country.share for country in stock.COUNTRIES]

    def country(self) -> Country:
        return self.random.choices(stock.COUNTRIES, self._weights)[0]

    def often_first(self, values: Sequence[str]) -> str:
        """The first values more often, so that frequent names meet: the square of an even draw."""
        return values[int(len(values) * self.random.random() ** 2)]

    def yes(self, share: float) -> bool:
        return self.random.random() < share

    def mobile(self, country: Country) -> str:
        return f"+{country.dial}{self.random.choice(country.mobile)}{self.digits(country.mobile_digits)}"

    def landline(self, country: Country) -> str:
        return f"+{country.dial}{self.random.choice(country.landline)}{self.digits(country.landline_digits)}"

    def digits(self, count: int) -> str:
        return str(self.random.randrange(2 * 10 ** (count - 1), 10**count))


def latin(text: str, *, variant: int = 0) -> str:
    """The text in ASCII letters: variant 0 as registers write it, 1 as people also do."""
    out = []
    for letter in text:
        low = letter.lower()
        found = stock.CYRILLIC.get(low) or stock.GREEK.get(_bare(low)) or stock.LATIN.get(low)
        spelled = found[variant] if found else "".join(c for c in unicodedata.normalize("NFKD", low) if c.isascii())
        out.append(spelled.capitalize() if letter != low else spelled)
    return "".join(out)


def _bare(letter: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", letter) if not unicodedata.combining(c))


def slug(text: str, joint: str = "") -> str:
    """Small ASCII letters and digits, words joined."""
    words = "".join(c if c.isalnum() else " " for c in latin(text).lower()).split()
    return joint.join(words)


PATTERNS = ("given.family", "given.family", "given.family", "gfamily", "given", "family", "g.family", "given_family")


def local_part(pattern: str, given: str, family: str) -> str:
    """What stands before the @ at a company that writes addresses by this pattern."""
    first, last = slug(given) or "x", slug(family) or "y"
    return {
        "given.family": f"{first}.{last}",
        "gfamily": f"{first[0]}{last}",
        "given": first,
        "family": last,
        "g.family": f"{first[0]}.{last}",
        "given_family": f"{first}_{last}",
    }[pattern]


@dataclass
class Directory:
    """Everybody there is, and what has been given away."""

    draws: Draws
    companies: list[Company] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    _domains: set[str] = field(default_factory=set)
    _addresses: set[str] = field(default_factory=set)
    _staff: dict[int, list[int]] = field(default_factory=dict)

    def staff_of(self, company: int) -> list[int]:
        return self._staff.get(company, [])

    # Companies

    def add_company(self, *, known: bool) -> Company:
        country = self.draws.country()
        core, trade = self._company_words(country)
        return self._keep_company(core, trade, country, known=known)

    def add_lookalike(self, of: Company, *, known: bool) -> Company:
        """Another company that shares most of a name: one trade, one country, one letter or nothing but kin to it."""
        chance = self.draws.random
        kind = chance.choice(("trade", "country", "letter", "number"))
        country, core, trade = of.country, of.core, of.trade
        if kind == "trade" or (kind == "letter" and len(core) < 5):
            trade = chance.choice([one for one in country.trades if one != of.trade])
        elif kind == "country":
            country = chance.choice([one for one in stock.COUNTRIES if one is not of.country])
        elif kind == "letter":
            place = chance.randrange(2, len(core) - 1)
            core = core[:place] + chance.choice([c for c in "aeiournlst" if c != core[place]]) + core[place + 1 :]
        else:
            core = f"{core} {chance.choice(('II', '24', 'One', 'Plus', 'Neo', 'West', 'Süd'))}"
        return self._keep_company(core, trade, country, known=known, alike=of.id)

    def add_subsidiary(self, of: Company, *, known: bool) -> Company:
        """A company of the same group, in another country or another line of business; one in three has no domain."""
        chance = self.draws.random
        if self.draws.yes(0.6):
            country = chance.choice([one for one in stock.COUNTRIES if one is not of.country])
            trade = " ".join(word for word in (of.trade, country.language) if word)
        else:
            country, trade = of.country, chance.choice(stock.DIVISIONS)
        own = self.draws.yes(0.65)
        return self._keep_company(of.core, trade, country, known=known, parent=of.id, has_own_domain=own)

    def _company_words(self, country: Country) -> tuple[str, str]:
        chance = self.draws.random
        names = stock.names_of(country.locale)
        family = self.draws.often_first(names.family_of_men)
        kind = chance.random()
        if kind < 0.30:
            return family, chance.choice(country.trades)
        if kind < 0.40:
            partner = chance.choice(names.family_of_men)
            joint = {"DE": "&", "FR": "et", "ES": "y", "IT": "e", "NL": "en"}.get(country.code, "&")
            return f"{family} {joint} {partner}", ""
        if kind < 0.52:
            return chance.choice(
                country.cities
            ), f"{chance.choice(stock.GENERAL_TRADES)} {chance.choice(country.trades)}"
        coined = "".join(chance.choice(stock.SYLLABLES) for _ in range(chance.choice((1, 2, 2, 3))))
        coined = (coined + chance.choice(stock.ENDINGS)).capitalize()
        if kind < 0.60:
            return "".join(chance.choice("ABCDEFGHIKLMNPRSTVW") for _ in range(3)), chance.choice(country.trades)
        if kind < 0.80:
            return coined, chance.choice((*country.trades, *stock.GENERAL_TRADES))
        return coined, ""

    def _keep_company(
        self,
        core: str,
        trade: str,
        country: Country,
        *,
        known: bool,
        parent: int | None = None,
        alike: int | None = None,
        has_own_domain: bool = True,
    ) -> Company:
        chance = self.draws.random
        suffix = chance.choice(country.suffixes)
        company = Company(
            id=len(self.companies) + 1,
            core=core,
            trade=trade,
            legal_form=chance.choice(country.legal_forms),
            domain=self._new_domain(core, trade, suffix),
            other_domain=self._new_domain(core, trade, chance.choice(("com", "eu", "net", "biz", "info"))),
            country=country,
            switchboard=self.draws.landline(country),
            address_pattern=chance.choice(PATTERNS),
            known=known,
            parent=parent,
            alike=alike,
            has_own_domain=has_own_domain,
        )
        self.companies.append(company)
        return company

    def _new_domain(self, core: str, trade: str, suffix: str) -> str:
        """The shortest one that nobody has."""
        short, first = slug(core), slug(trade.split(" ", maxsplit=1)[0])
        options = [short, f"{short}-{first}", f"{short}{first}", slug(f"{core} {trade}", "-"), slug(f"{core} {trade}")]
        if self.draws.yes(0.4):
            options = options[1:]
        candidates = [f"{option}.{suffix}" for option in options if len(option) > 2 and not option.endswith("-")]
        # A provider of mail, or a suffix under which others register, is no company's.
        own = (one for one in candidates if one not in self._domains and normalising.company_domain(one) == one)
        domain = next(own, "")
        while not domain or domain in self._domains:
            domain = f"{short or 'company'}{self.draws.digits(3)}.{suffix}"
        self._domains.add(domain)
        return domain

    # People

    def add_person(self, company: Company, *, known: bool) -> Person:
        """Somebody who works there; four in five have a name of the country."""
        country = company.country if self.draws.yes(0.8) else self.draws.country()
        names = stock.names_of(country.locale)
        is_woman = self.draws.yes(0.45)
        given = self.draws.often_first(names.female if is_woman else names.male)
        family = self.draws.often_first(names.family_of_women if is_woman else names.family_of_men)
        return self._keep_person(given, family, country, company, is_woman=is_woman, known=known)

    def add_namesake(self, of: Person, company: Company) -> Person:
        """Somebody else of the same name, at another company."""
        return self._keep_person(
            of.given, of.family, of.country, company, is_woman=of.is_woman, known=False, resembles=of.id
        )

    def add_relative(self, of: Person) -> Person:
        """A colleague of the same family name; every second with the same initial."""
        names = stock.names_of(of.country.locale)
        given = [name for name in (*names.female, *names.male) if name != of.given]
        alike = [name for name in given if name[0] == of.given[0]]
        other = self.draws.random.choice(alike if alike and self.draws.yes(0.5) else given)
        company = self.companies[of.company - 1]
        return self._keep_person(
            other, of.family, of.country, company, is_woman=other in names.female, known=False, resembles=of.id
        )

    def _keep_person(
        self,
        given: str,
        family: str,
        country: Country,
        company: Company,
        *,
        is_woman: bool,
        known: bool,
        resembles: int | None = None,
    ) -> Person:
        chance = self.draws.random
        names = stock.names_of(country.locale)
        middle = chance.choice(names.female if is_woman else names.male) if self.draws.yes(0.15) else ""
        mobile = self.draws.mobile(company.country)
        line = chance.random()
        work = self.new_address(company.address_pattern, given, family, self.mail_domain(company))
        provider = chance.choice(country.free_mail)
        private = self.new_address(chance.choice(PATTERNS), given, family, provider, crowded=True)
        person = Person(
            id=len(self.people) + 1,
            given=given,
            middle="" if middle == given else middle,
            family=family,
            country=country,
            is_woman=is_woman,
            job_title=chance.choice(stock.JOB_TITLES),
            honorific=chance.choice(stock.HONORIFICS) if self.draws.yes(0.12) else "",
            is_latin=country.code in stock.OTHER_SCRIPTS and self.draws.yes(0.4),
            company=company.id,
            email=private if self.draws.yes(0.07) else work,
            private_email=private,
            mobile=mobile,
            phone=mobile if line < 0.55 else company.switchboard if line < 0.85 else self.draws.landline(country),
            known=known,
            resembles=resembles,
        )
        self.people.append(person)
        self._staff.setdefault(company.id, []).append(person.id)
        return person

    def mail_domain(self, company: Company) -> str:
        """A subsidiary without a domain of its own writes from the group's."""
        if company.has_own_domain or company.parent is None:
            return company.domain
        return self.companies[company.parent - 1].domain

    def new_address(self, pattern: str, given: str, family: str, domain: str, *, crowded: bool = False) -> str:
        """An address that nobody else has; at crowded providers half of them carry a number."""
        local = local_part(pattern, given, family)
        address = f"{local}{self.draws.digits(2)}@{domain}" if crowded and self.draws.yes(0.5) else f"{local}@{domain}"
        length = 3 if crowded else 1
        while address in self._addresses:
            address = f"{local}{self.draws.digits(length)}@{domain}"
            length += 1
        self._addresses.add(address)
        return address

    def is_taken(self, address: str) -> bool:
        """Whether somebody has this address."""
        return address in self._addresses
