"""The labelled data as columns for a probabilistic matcher, cleaned as well as we can.

It gets the keys that FlowLedger reads (addresses, numbers, registrable domains without free mail, company names
without legal forms), names in Latin letters by the very tables that the data was made with, without titles, split into
given and family name, and the other forms of a given name from the same library of nicknames that FlowLedger uses.
Numbers without a country code are read as of the record's country where it brings one. Nothing of the labels is in it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from nicknames import NickNamer

from flowledger.clients import normalising
from tests.bench.identity import stock
from tests.bench.identity.entities import latin
from tests.bench.identity.labelled import REGION, Labelled

_TITLES = {word.lower().strip(".") for title in (*stock.HONORIFICS, *stock.SUFFIXES) for word in title.split()}
_NO_LETTER = re.compile(r"[^a-z0-9]+")

Row = dict[str, Any]


def columns(labelled: Labelled) -> dict[str, list[Row]]:
    """Two tables of people and two of companies: those of the base, and those of the records."""
    clients = {client.id: client for client in labelled.clients}
    base_people, people, companies = [], [], []
    for contact in labelled.contacts:
        client = clients.get(contact.client or 0)
        company = _company(
            client.name if client else "",
            (client.domain if client else "") or normalising.company_domain(contact.email) or "",
            client.country if client else "",
        )
        base_people.append({"unique_id": contact.id, **_person(contact.name, contact.email, contact.phone), **company})
    for record in labelled.records:
        phone = normalising.phone_number(record.phone, record.country or REGION) or ""
        domain = normalising.company_domain(record.company_domain) or normalising.company_domain(record.email) or ""
        company = _company(record.company_name, domain, record.country)
        people.append({"unique_id": record.id, **_person(record.name, record.email, phone), **company})
        companies.append({"unique_id": record.id, **company})
    base_companies = [
        {"unique_id": client.id, **_company(client.name, client.domain, client.country)} for client in labelled.clients
    ]
    return {
        "base_people": base_people,
        "people": people,
        "base_companies": base_companies,
        # A record that says nothing of a company is asked nothing of one.
        "companies": [row for row in companies if row["company"] or row["domain"]],
    }


def _person(name: str, email: str, phone: str) -> Row:
    given, family = _split(name)
    address = normalising.email_key(email) or ""
    local, _, host = address.partition("@")
    tagless = local.partition("+")[0]
    return {
        "given": given or None,
        "family": family or None,
        "full_name": f"{given} {family}".strip() or None,
        "sorted_name": " ".join(sorted(f"{given} {family}".split())) or None,
        "forms": sorted(_forms(given)) or None,
        "email": f"{tagless}@{host}" if host else None,
        "email_local": tagless or None,
        "phone": phone or None,
    }


def _split(name: str) -> tuple[str, str]:
    """Given and family name; a comma says that the family name leads."""
    text = latin(" ".join(name.split()))
    head, comma, tail = text.partition(",")
    words = [*_words(tail), *_words(head)] if comma and _words(tail) else _words(text)
    return (" ".join(words[:1]), words[-1]) if len(words) > 1 else ("", "".join(words))


def _words(text: str) -> list[str]:
    words = [_NO_LETTER.sub("", word) for word in text.lower().replace("-", " ").split()]
    return [word for word in words if word and word not in _TITLES]


@cache
def _namer() -> NickNamer:
    return NickNamer()


@cache
def _forms(given: str) -> frozenset[str]:
    """The name with all names that it is a short or long form of."""
    if not given:
        return frozenset()
    namer = _namer()
    return frozenset({given, *namer.nicknames_of(given), *namer.canonicals_of(given)})


def _company(name: str, domain: str, country: str) -> Row:
    key = normalising.company_name_key(latin(name)) or ""
    host = normalising.registrable_domain(domain) or ""
    return {
        "company_full": " ".join(latin(name).lower().split()) or None,
        "company": key or None,
        "company_start": key.split(" ")[0] if key else None,
        "company_sorted": " ".join(sorted(key.split())) or None,
        "domain": host or None,
        "domain_label": host.split(".")[0] or None,
        "country": country or None,
    }
