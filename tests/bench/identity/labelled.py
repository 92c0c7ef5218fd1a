"""The labelled data: what the base knows, and records with the true person and company of each.

Nearly three records in four are of people in the base; the others are the traps: new colleagues of known people, people
of unknown companies, people who only share a name, relatives at one company, companies that only look alike.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from flowledger.clients import normalising
from tests.bench.identity.corruption import corrupt
from tests.bench.identity.drafts import Corruption, Draft
from tests.bench.identity.entities import Company, Directory, Draws, Person, latin

# Matching is tuned on the first; the figures are of the second.
SEEDS = {"training": 20_261, "held-out": 20_262}
# Where the organisation is: numbers without a country code are taken for this one's.
REGION = "DE"


class Kind(StrEnum):
    """Whom a record is of, seen from the base."""

    KNOWN = "known"
    NEW_COLLEAGUE = "new_colleague"
    NEW_COMPANY = "new_company"
    NAMESAKE = "namesake"
    RELATIVE = "relative"
    LOOKALIKE = "lookalike"


_KINDS = {
    Kind.KNOWN: 72,
    Kind.NEW_COLLEAGUE: 11,
    Kind.NEW_COMPANY: 8,
    Kind.NAMESAKE: 3,
    Kind.RELATIVE: 2,
    Kind.LOOKALIKE: 4,
}


@dataclass(frozen=True)
class BaseClient:
    """A company as the base has it."""

    id: int
    name: str
    domain: str
    country: str


@dataclass(frozen=True)
class BaseContact:
    """A person as the base has them; `client` is the id of a BaseClient."""

    id: int
    client: int | None
    name: str
    email: str
    phone: str
    title: str


@dataclass(frozen=True)
class Record:
    """What came in, with the truth: the person and the company by their ids, in the base or not.

    `company` is the employer; None where nothing in the record tells it and the base does not know the person, and the
    group where a stranger brings nothing but an address of the group.
    """

    id: int
    kind: Kind
    person: int
    company: int | None
    corruptions: tuple[Corruption, ...]
    name: str
    email: str
    phone: str
    company_name: str
    company_domain: str
    country: str
    job_title: str


@dataclass(frozen=True)
class Labelled:
    """One draw of everything."""

    clients: tuple[BaseClient, ...]
    contacts: tuple[BaseContact, ...]
    records: tuple[Record, ...]

    def as_dict(self) -> dict[str, Any]:
        """For the peers' environment, as JSON."""
        return asdict(self)

    @property
    def known_people(self) -> frozenset[int]:
        return frozenset(contact.id for contact in self.contacts)

    @property
    def known_companies(self) -> frozenset[int]:
        return frozenset(client.id for client in self.clients)


def make(seed: int, *, contacts: int = 10_000, records: int = 10_000) -> Labelled:
    """The same for the same seed and sizes; a base of so many people, a third as many companies."""
    directory = Directory(Draws(seed))
    _found_companies(directory, contacts // 3)
    known = [company for company in directory.companies if company.known]
    crowd = [company for company in known for _ in range(_staff_share(directory.draws))]
    for _ in range(contacts):
        directory.add_person(directory.draws.random.choice(crowd), known=True)
    clients = tuple(_enter_client(company, directory) for company in known)
    entered = {client.id: client for client in clients}
    base = tuple(_enter_contact(person, entered, directory) for person in directory.people)
    return Labelled(clients=clients, contacts=base, records=tuple(_records(directory, base, records)))


def _found_companies(directory: Directory, known: int) -> None:
    """One in twelve heads a group, one in nine has a look-alike, which the base knows in every second case."""
    draws = directory.draws
    count = 0
    while count < known:
        company = directory.add_company(known=True)
        count += 1
        if draws.yes(0.08):
            for _ in range(draws.random.choice((1, 1, 2))):
                count += directory.add_subsidiary(company, known=draws.yes(0.8)).known
        if draws.yes(0.11):
            count += directory.add_lookalike(company, known=draws.yes(0.5)).known
    for _ in range(known // 4):
        directory.add_company(known=False)


def _staff_share(draws: Draws) -> int:
    """A few companies have many contacts."""
    return draws.random.choices((1, 2, 4, 12), (50, 30, 15, 5))[0]


def _enter_client(company: Company, directory: Directory) -> BaseClient:
    draws = directory.draws
    return BaseClient(
        id=company.id,
        name=company.name,
        domain="" if not company.has_own_domain or draws.yes(0.1) else company.domain,
        country="" if draws.yes(0.12) else company.country.code,
    )


def _enter_contact(person: Person, clients: dict[int, BaseClient], directory: Directory) -> BaseContact:
    draws = directory.draws
    has_email = draws.yes(0.93)
    return BaseContact(
        id=person.id,
        client=None if has_email and draws.yes(0.03) else clients[person.company].id,
        name=person.name,
        email=person.email if has_email else "",
        phone=person.phone if draws.yes(0.75) else "",
        title=person.job_title if draws.yes(0.6) else "",
    )


def _records(directory: Directory, base: tuple[BaseContact, ...], count: int) -> list[Record]:
    draws = directory.draws
    by_id = {contact.id: contact for contact in base}
    known = [person for person in directory.people if person.known]
    strangers = [company for company in directory.companies if not company.known]
    lookalikes = [company for company in strangers if company.alike is not None]
    employers = [company for company in directory.companies if company.known]
    records: list[Record] = []
    while len(records) < count:
        kind = draws.random.choices(list(_KINDS), list(_KINDS.values()))[0]
        somebody = draws.random.choice(known)
        if kind is Kind.KNOWN:
            person = somebody
        elif kind is Kind.NEW_COLLEAGUE:
            person = directory.add_person(directory.companies[somebody.company - 1], known=False)
        elif kind is Kind.NEW_COMPANY:
            person = directory.add_person(draws.random.choice(strangers), known=False)
        elif kind is Kind.LOOKALIKE:
            person = directory.add_person(draws.random.choice(lookalikes), known=False)
        elif kind is Kind.NAMESAKE:
            elsewhere = draws.random.choice(employers if draws.yes(0.5) else strangers)
            if elsewhere.id == somebody.company:
                continue
            person = directory.add_namesake(somebody, elsewhere)
        else:
            person = directory.add_relative(somebody)
        for _ in range(draws.random.choices((1, 2, 3), (78, 16, 6))[0]):
            record = _record(len(records) + 1, kind, person, by_id.get(person.id), directory)
            if record is not None:
                records.append(record)
    # As they come in: those of one person are not neighbours.
    records = records[:count]
    draws.random.shuffle(records)
    return [Record(**{**asdict(record), "id": place}) for place, record in enumerate(records, start=1)]


def _record(
    number: int, kind: Kind, person: Person, entered: BaseContact | None, directory: Directory
) -> Record | None:
    """One that can be told: drawn anew while nothing in it leads to the person, given up after a while."""
    draws = directory.draws
    for _ in range(12):
        draft = _write(person, directory)
        corrupt(draft, directory, count=draws.random.choices((0, 1, 2, 3), (14, 46, 28, 12))[0])
        _leave_out(draft, directory)
        if not _tells(draft, entered, directory):
            continue
        says_company = bool(draft.company_name or draft.company_domain or _works_at(draft.email))
        gaps = {
            Corruption.NO_EMAIL: not draft.email,
            Corruption.NO_NAME: not draft.name,
            Corruption.NO_COMPANY: not says_company,
        }
        if not says_company:
            company = entered.client if entered else None
        elif entered is None and not draft.company_name and not draft.company_domain:
            company = _owner_of_domain(draft.company)
        else:
            company = draft.company.id
        return Record(
            id=number,
            kind=kind,
            person=person.id,
            company=company,
            corruptions=(*draft.done, *(gap for gap, is_there in gaps.items() if is_there)),
            name=draft.name,
            email=draft.email,
            phone=draft.phone,
            company_name=draft.company_name,
            company_domain=draft.company_domain,
            country=draft.country,
            job_title=draft.job_title,
        )
    return None


def _write(person: Person, directory: Directory) -> Draft:
    """The record as the person would write it without a mistake; in their own letters."""
    company = directory.companies[person.company - 1]
    name_in_latin = person.is_latin
    return Draft(
        person=person,
        company=company,
        given=latin(person.given) if name_in_latin else person.given,
        middle="",
        family=latin(person.family) if name_in_latin else person.family,
        before=person.honorific,
        after="",
        family_first="",
        name="",
        email=person.email,
        phone=person.phone,
        company_name=company.name,
        company_domain="",
        country=company.country.code,
        job_title=person.job_title,
    )


# How often each channel brings a field: (email, name, phone, company, domain, country, job title).
_CHANNELS = {
    "form": (40, (1.0, 0.99, 0.45, 0.85, 0.15, 0.6, 0.4)),
    "mail": (25, (1.0, 0.9, 0.35, 0.4, 0.05, 0.1, 0.3)),
    "list": (25, (0.6, 1.0, 0.35, 0.97, 0.35, 0.85, 0.7)),
    "call": (10, (0.15, 0.95, 0.95, 0.75, 0.0, 0.3, 0.1)),
}


def _leave_out(draft: Draft, directory: Directory) -> None:
    """What the channel does not bring; what was corrupted stays, or the label would not be true."""
    draws = directory.draws
    channel = draws.random.choices(list(_CHANNELS.values()), [weight for weight, _ in _CHANNELS.values()])[0]
    email, name, phone, company, domain, country, title = (draws.yes(share) for share in channel[1])
    touched = {field for corruption in draft.done for field in _BRINGS[corruption]}
    if not (email or "email" in touched):
        draft.email = ""
    if not (name or "name" in touched):
        draft.name = ""
    if not (phone or "phone" in touched):
        draft.phone = ""
    if not (company or "company" in touched):
        draft.company_name = ""
    if domain and not draft.company_domain and draft.company.has_own_domain:
        draft.company_domain = draft.company.domain
    if not country:
        draft.country = ""
    if not title:
        draft.job_title = ""


_FIELDS = ("name", "email", "phone", "company")
# What a corruption is seen in: a channel that would leave this out brings it all the same.
_BRINGS: dict[Corruption, tuple[str, ...]] = {
    Corruption.TYPO_NAME: ("name",),
    Corruption.NICKNAME: ("name",),
    Corruption.INITIAL: ("name",),
    Corruption.SWAPPED_NAMES: ("name",),
    Corruption.HONORIFIC: ("name",),
    Corruption.MIDDLE_NAME: ("name",),
    Corruption.TRANSLITERATION: ("name",),
    Corruption.NEW_FAMILY_NAME: ("name", "email", "phone"),
    Corruption.OCR: ("name", "company"),
    Corruption.PHONETIC: ("name", "company"),
    Corruption.LETTER_CASE: ("name", "company"),
    Corruption.SWAPPED_FIELDS: ("name", "company"),
    Corruption.TYPO_COMPANY: ("company",),
    Corruption.COMPANY_FORM: ("company",),
    Corruption.COMPANY_SHORT: ("company",),
    Corruption.COMPANY_NOISE: ("company",),
    Corruption.SUBSIDIARY: ("company",),
    Corruption.TYPO_EMAIL: ("email",),
    Corruption.PLUS_TAG: ("email",),
    Corruption.OTHER_ADDRESS: ("email",),
    Corruption.COMPANY_DOMAIN: ("email",),
    Corruption.FREE_MAIL: ("email", "name"),
    Corruption.ROLE_MAILBOX: ("email", "name"),
    Corruption.SHARED_PHONE: ("phone",),
    Corruption.OTHER_PHONE: ("phone",),
    Corruption.TYPO_PHONE: ("phone",),
    Corruption.PHONE_FORMAT: ("phone",),
    Corruption.CHANGED_JOB: _FIELDS,
}


def _tells(draft: Draft, entered: BaseContact | None, directory: Directory) -> bool:
    """Whether something in the record leads to its person: an address or number of theirs, or name and company.

    A judgement over the labels, made before any system sees the record. Of strangers it asks for an address or a
    number, or for a name with a company: what any channel would hand in.
    """
    if entered is None:
        return bool(draft.email or (draft.name and (draft.company_name or draft.phone)))
    own_email = bool(entered.email) and draft.email == entered.email
    own_phone = bool(entered.phone) and draft.phone == entered.phone == draft.person.mobile
    if own_email or own_phone:
        return True
    at_company = bool(draft.company_name or draft.company_domain or _works_at(draft.email))
    return bool(draft.name) and at_company and draft.company.id == entered.client


def _owner_of_domain(company: Company) -> int:
    return company.id if company.has_own_domain or company.parent is None else company.parent


def _works_at(email: str) -> bool:
    return normalising.company_domain(email) is not None if "@" in email else False
