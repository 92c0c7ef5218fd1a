"""What can be done to a record, and a record while it is being made."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tests.bench.identity.entities import Company, Person


class Corruption(StrEnum):
    """What was done to a record; those that begin with `no_` say what it does not bring."""

    TYPO_NAME = "typo_name"
    TYPO_EMAIL = "typo_email"
    TYPO_COMPANY = "typo_company"
    OCR = "ocr"
    PHONETIC = "phonetic"
    NICKNAME = "nickname"
    INITIAL = "initial"
    SWAPPED_NAMES = "swapped_names"
    SWAPPED_FIELDS = "swapped_fields"
    HONORIFIC = "honorific"
    MIDDLE_NAME = "middle_name"
    NEW_FAMILY_NAME = "new_family_name"
    LETTER_CASE = "letter_case"
    TRANSLITERATION = "transliteration"
    PLUS_TAG = "plus_tag"
    FREE_MAIL = "free_mail"
    OTHER_ADDRESS = "other_address"
    ROLE_MAILBOX = "role_mailbox"
    SHARED_PHONE = "shared_phone"
    OTHER_PHONE = "other_phone"
    TYPO_PHONE = "typo_phone"
    PHONE_FORMAT = "phone_format"
    COMPANY_FORM = "company_form"
    COMPANY_SHORT = "company_short"
    COMPANY_NOISE = "company_noise"
    COMPANY_DOMAIN = "company_domain"
    SUBSIDIARY = "subsidiary"
    CHANGED_JOB = "changed_job"
    NO_EMAIL = "no_email"
    NO_NAME = "no_name"
    NO_COMPANY = "no_company"


@dataclass
class Draft:
    """A record in the making. The parts of the name become `name` between the first stage and the second."""

    person: Person
    company: Company
    given: str
    middle: str
    family: str
    before: str
    after: str
    family_first: str
    name: str
    email: str
    phone: str
    company_name: str
    company_domain: str
    country: str
    job_title: str
    done: list[Corruption] = field(default_factory=list)

    def write_name(self) -> None:
        """Put the parts together; `family_first` is what stands between them when the family name leads."""
        given = " ".join(part for part in (self.given, self.middle) if part)
        name = f"{self.family}{self.family_first}{given}" if self.family_first else f"{given} {self.family}"
        name = " ".join(part for part in (self.before, name.strip()) if part)
        self.name = f"{name}, {self.after}" if self.after else name
