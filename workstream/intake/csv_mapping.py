"""Which column of a CSV file is which field: guessed from the headings, checked, applied."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# A field that ends so takes any name behind it: `attributes.Region`.
MAX_MEMBER = 60
_NO_LETTER = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class MappedField:
    """A field that a column may be, in words, and the headings by which it is recognised."""

    label: str
    spellings: Sequence[str] = ()


@dataclass(frozen=True)
class KindFields:
    """The fields of a kind of rows. `objects` take members (`attributes.Region`); of `needed` one must be mapped."""

    fields: Mapping[str, MappedField]
    objects: Sequence[str]
    needed: Sequence[str]
    update_keys: Sequence[str] = field(default_factory=tuple)


_PERSON = {
    "first_name": MappedField("First name", ("first name", "given name", "forename", "vorname", "prénom", "nombre")),
    "last_name": MappedField(
        "Last name", ("last name", "surname", "family name", "nachname", "familienname", "nom de famille", "apellido")
    ),
}
_EMAIL = (
    *("email", "e-mail", "mail", "email address", "e-mail address", "contact email", "work email", "business email"),
    *("primary email", "email 1", "e-mail-adresse", "emailadresse", "adresse e-mail", "courriel", "correo"),
    *("correo electrónico", "contact e-mail"),
)
_PHONE = (
    *("phone", "phone number", "telephone", "tel", "mobile", "mobile phone", "cell", "cell phone", "contact phone"),
    *("work phone", "business phone", "primary phone", "telefon", "telefonnummer", "handy", "rufnummer", "téléphone"),
    *("teléfono", "mobil"),
)
_FULL_NAME = (
    *("name", "full name", "contact name", "contact", "person", "display name", "ansprechpartner", "kontakt"),
    *("nom", "nom complet", "nombre completo"),
)
_COMPANY = (
    *("company", "company name", "organisation", "organization", "organisation name", "organization name", "account"),
    *("account name", "employer", "business name", "firma", "firmenname", "unternehmen", "société", "entreprise"),
    *("empresa", "client", "client name", "customer"),
)
_DOMAIN = (
    *("domain", "company domain", "website", "web site", "company website", "url", "homepage", "web", "webseite"),
    *("site web", "sitio web"),
)
_ACTIVE = MappedField("Active (yes or no)", ("is active", "active", "aktiv", "actif", "activo"))

SIGNALS = KindFields(
    fields={
        "snippet": MappedField(
            "What it says",
            (
                *("snippet", "message", "text", "note", "notes", "comment", "comments", "description", "inquiry"),
                *("enquiry", "body", "details", "nachricht", "anfrage", "bemerkung", "kommentar", "mensaje"),
            ),
        ),
        "contact_name": MappedField("Name of the person", _FULL_NAME),
        **_PERSON,
        "contact_email": MappedField("Email of the person", _EMAIL),
        "contact_phone": MappedField("Phone of the person", _PHONE),
        "company_name": MappedField("Company", _COMPANY),
        "company_domain": MappedField("Domain of the company", _DOMAIN),
        "ts": MappedField(
            "When it happened",
            (
                *("ts", "date", "time", "timestamp", "happened at", "created", "created at", "created date", "datum"),
                *("create date", "received", "received at", "submitted at", "submission date", "fecha", "zeitpunkt"),
            ),
        ),
        "source_type": MappedField("Source type", ("source type", "channel", "kanal")),
        "source_ref": MappedField(
            "Identifier in the source system",
            ("source ref", "source reference", "external id", "record id", "lead id", "id", "reference", "referenz"),
        ),
        "dedupe_key": MappedField("Key against repeats", ("dedupe key", "deduplication key", "idempotency key")),
        "problem_phrase": MappedField("Problem", ("problem phrase", "problem", "pain", "pain point", "need")),
        "solution_hint": MappedField("Solution hint", ("solution hint", "solution", "product", "interest")),
        "urgency_score": MappedField("Urgency (0 to 1)", ("urgency score", "urgency", "priority score")),
    },
    objects=("attributes",),
    needed=("snippet", "contact_name", "last_name", "contact_email", "contact_phone", "company_name", "company_domain"),
)
CONTACTS = KindFields(
    fields={
        "name": MappedField("Name", _FULL_NAME),
        **_PERSON,
        "email": MappedField("Email", _EMAIL),
        "phone": MappedField("Phone", _PHONE),
        "title": MappedField(
            "Job title",
            ("title", "job title", "position", "role", "function", "jobtitel", "funktion", "poste", "cargo"),
        ),
        "company_name": MappedField("Company", _COMPANY),
        "company_domain": MappedField("Domain of the company", _DOMAIN),
        "client_id": MappedField("Client number in FlowLedger", ("client id",)),
        "contact_id": MappedField("Contact number in FlowLedger", ("contact id",)),
        "is_active": _ACTIVE,
    },
    objects=("social_links", "preferences"),
    needed=("name", "last_name", "email", "phone", "contact_id"),
    update_keys=("contact_id", "email"),
)
CLIENTS = KindFields(
    fields={
        "name": MappedField("Name", (*_COMPANY, "name", "nom", "nombre")),
        "domain": MappedField("Domain", _DOMAIN),
        "industry": MappedField("Industry", ("industry", "sector", "branche", "secteur", "industria", "sector name")),
        "size_band": MappedField(
            "Size band or number of employees",
            (
                *("size band", "size", "company size", "employees", "number of employees", "employee count"),
                *("headcount", "mitarbeiter", "mitarbeiterzahl", "effectif", "empleados"),
            ),
        ),
        "annual_revenue": MappedField(
            "Annual revenue", ("annual revenue", "revenue", "turnover", "umsatz", "jahresumsatz", "chiffre d'affaires")
        ),
        "country": MappedField("Country (two letters)", ("country", "country code", "land", "pays", "país")),
        "client_id": MappedField("Client number in FlowLedger", ("client id",)),
        "is_active": _ACTIVE,
    },
    objects=("attributes",),
    needed=("name", "domain", "client_id"),
    update_keys=("client_id", "domain", "name"),
)
KINDS: Mapping[str, KindFields] = {"signals": SIGNALS, "contacts": CONTACTS, "clients": CLIENTS}


class MappingRefused(ValueError):
    """A mapping that cannot be used; `columns` maps headings to sentences."""

    def __init__(self, sentence: str, columns: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(sentence)
        self.columns = dict(columns or {})


def guess_mapping(kind: str, headings: Sequence[str]) -> dict[str, str]:
    """The fields of the headings that are known in some spelling; each field once, the best spelling first."""
    known = KINDS[kind]
    wanted: list[tuple[int, int, str, str]] = []
    for place, heading in enumerate(headings):
        folded = _fold(heading)
        for name, mapped in known.fields.items():
            spellings = [_fold(name), _fold(mapped.label), *map(_fold, mapped.spellings)]
            if folded in spellings:
                wanted.append((spellings.index(folded), place, heading, name))
        dotted = heading.partition(".")
        if dotted[0] in known.objects and 0 < len(dotted[2]) <= MAX_MEMBER:
            wanted.append((0, place, heading, heading))
    found: dict[str, str] = {}
    for _rank, _place, heading, name in sorted(wanted):
        if heading not in found and name not in found.values():
            found[heading] = name
    return {heading: found[heading] for heading in headings if heading in found}


def check_mapping(kind: str, headings: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The mapping in the order of the columns, without those that are not to be read. Raises MappingRefused."""
    known, columns = KINDS[kind], {}
    used: dict[str, str] = {}
    chosen = {heading: name for heading, name in mapping.items() if name}
    for heading, name in chosen.items():
        if heading not in headings:
            columns[heading] = [f"The file has no such column; it has: {', '.join(headings)[:500]}."]
        elif not _is_field(known, name):
            columns[heading] = [f"'{name[:60]}' is no field; choose one of: {', '.join(allowed_fields(kind))}."]
        elif name in used:
            columns[heading] = [f"The column '{used[name]}' is {name} already; a field is one column."]
        else:
            used[name] = heading
    if columns:
        heading, sentences = next(iter(columns.items()))
        raise MappingRefused(f"Column '{heading[:60]}': {sentences[0]}", columns)
    if not set(used) & set(known.needed):
        raise MappingRefused(f"Map at least one column to one of: {', '.join(known.needed)}.")
    return {heading: chosen[heading] for heading in headings if heading in chosen}


def allowed_fields(kind: str) -> list[str]:
    """What a column may be, in words of the API."""
    known = KINDS[kind]
    return [*known.fields, *(f"{name}.<anything>" for name in known.objects)]


def mapped_cells(headings: Sequence[str], cells: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """{field: text} of one row, without blank cells."""
    found: dict[str, str] = {}
    for heading, cell in zip(headings, cells, strict=False):
        name = mapping.get(heading)
        text = plain(cell) if name else ""
        if name and text:
            found[name] = text
    return found


def plain(cell: str) -> str:
    """A cell without space around it and without the apostrophe that keeps spreadsheets from calculating it."""
    text = cell.strip()
    return text[1:] if len(text) > 1 and text[0] == "'" and text[1] in "=+-@" else text


def _is_field(known: KindFields, name: str) -> bool:
    whole, dot, member = name.partition(".")
    return name in known.fields or (whole in known.objects and bool(dot) and 0 < len(member.strip()) <= MAX_MEMBER)


def _fold(text: str) -> str:
    """`E-Mail_Adresse ` as `emailadresse`: case, accents and everything between letters do not count."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return _NO_LETTER.sub("", "".join(each for each in decomposed if not unicodedata.combining(each)))
