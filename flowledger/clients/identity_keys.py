"""The keys of a signal in their one spelling, and what is known of each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from flowledger.clients import normalising
from flowledger.clients.company_names import place_of
from flowledger.clients.matching import Company, Person


class KeyType(StrEnum):
    """What a key is; the values are stored."""

    EMAIL = "email"
    PHONE = "phone"
    COMPANY_DOMAIN = "company_domain"
    SOURCE_REF = "source_ref"
    COMPANY_NAME = "company_name"


class Key(NamedTuple):
    """One normalised key; sorts the same everywhere, which is the order in which keys are locked."""

    type: str
    value: str


@dataclass(frozen=True)
class KnownKey:
    """What a stored key points at; the fields that begin with `contact_` are those of the contact.

    `client_country` is the client's place: its country, else those of its legal form.

    `confidence` falls when the key turns out to be shared: a switchboard, the name of several companies.
    """

    contact_id: int | None = None
    client_id: int | None = None
    client_country: str = ""
    confidence: Decimal = Decimal("1.00")
    contact_client_id: int | None = None
    contact_name: str = ""
    contact_email: str = ""
    contact_phone: str = ""


@dataclass(frozen=True)
class SignalKeys:
    """The normalised keys of one signal. `stated_domain` was given, `email_domain` is that of the address.

    `name`, `company` and `country` are no keys: they say who of those that are alike is meant.
    """

    email: str | None = None
    phone: str | None = None
    source_ref: str | None = None
    stated_domain: str | None = None
    email_domain: str | None = None
    company_name: str | None = None
    name: str = ""
    company: str = ""
    country: str = ""

    @classmethod
    def read(
        cls,
        *,
        email: str,
        phone: str,
        company_name: str,
        company_domain: str,
        source_ref: str,
        region: str,
        name: str = "",
        country: str = "",
    ) -> SignalKeys:
        """Normalise what a signal says; what does not parse is no key and no error. `region` is for phone numbers."""
        address = normalising.email_address(email)
        country = country.strip().upper()
        return cls(
            email=normalising.email_key(email),
            phone=normalising.phone_number(phone, region),
            source_ref=source_ref.strip()[:255] or None,
            stated_domain=normalising.company_domain(company_domain),
            email_domain=normalising.company_domain(address) if address else None,
            company_name=normalising.company_name_key(company_name),
            name=name,
            company=company_name,
            country=country if len(country) == 2 and country.isascii() and country.isalpha() else "",
        )

    @property
    def company_domain(self) -> str | None:
        """The domain that stands for the company."""
        return self.stated_domain or self.email_domain

    @property
    def person_keys(self) -> list[Key]:
        """Keys that name a person, strongest first."""
        pairs = (
            (KeyType.EMAIL, self.email),
            (KeyType.PHONE, self.phone),
            (KeyType.SOURCE_REF, self.source_ref),
        )
        return [Key(kind.value, value) for kind, value in pairs if value]

    @property
    def company_keys(self) -> list[Key]:
        """Keys that name a company, strongest first. With a country the name has a key of its own there."""
        pairs = (
            (KeyType.COMPANY_DOMAIN, self.company_domain),
            (KeyType.COMPANY_NAME, self.name_in_country),
            (KeyType.COMPANY_NAME, self.company_name),
        )
        return [Key(kind.value, value) for kind, value in pairs if value]

    @property
    def name_in_country(self) -> str | None:
        """The company's name with its place, which tells companies of one name apart."""
        return f"{self.company_name} @{self.place.lower()}"[:255] if self.company_name and self.place else None

    @property
    def place(self) -> str:
        """The company's country, else those of its legal form."""
        return place_of(self.company, self.country)

    @property
    def name_to_look_up(self) -> str:
        """The company's name, else what its domain spells."""
        return self.company_name or (self.company_domain or "").partition(".")[0].replace("-", " ")

    def person(self, *, client_id: int | None) -> Person:
        """What the signal says of the person, at a company that is known or not."""
        return Person(
            name=self.name,
            emails=(self.email,) if self.email else (),
            phones=(self.phone,) if self.phone else (),
            company=self.company_facts(client_id=client_id),
        )

    def company_facts(self, *, client_id: int | None = None) -> Company:
        """What the signal says of the company."""
        domain = self.company_domain
        return Company(
            name=self.company, domains=(domain,) if domain else (), country=self.country, client_id=client_id
        )

    def all(self) -> list[Key]:
        """Every key in the order in which they are locked."""
        return sorted({*self.person_keys, *self.company_keys})
