"""Identity keys in their one spelling: addresses, phone numbers, domains, company names. Pure, without any network."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files

import idna
import phonenumbers
import tldextract
from email_validator import EmailNotValidError, validate_email

from flowledger.clients.folding import latin

# The list bundled with the library; an empty tuple of addresses keeps it from ever asking the network.
# RFC 2606 keeps two suffixes for documentation and tests, where they stand for a company like any other.
_public_suffixes = tldextract.TLDExtract(
    suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True, extra_suffixes=("example", "test")
)

_DOMAIN = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_NO_WORD = re.compile(r"[\W_]+")

_LEADING_FORMS = frozenset({"ao", "fop", "oao", "ooo", "pao", "pp", "tov", "zao"})

MAX_EMAIL = 254
MAX_COMPANY_NAME = 200

# Providers known to ignore what follows the first plus sign, and those that ignore dots too. Nobody else's rules are
# guessed: at any other provider two spellings may be two people.
_PLUS_TAGS = frozenset(
    {
        "fastmail.com",
        "fastmail.fm",
        "gmail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "me.com",
        "outlook.com",
        "pm.me",
        "proton.me",
        "protonmail.com",
    }
)
_NO_DOTS = frozenset({"gmail.com", "pm.me", "proton.me", "protonmail.com"})
_SAME_MAILBOX = {"googlemail.com": "gmail.com", "pm.me": "proton.me", "protonmail.com": "proton.me"}


@cache
def lines_of(name: str) -> frozenset[str]:
    """The entries of one of our lists in `data`."""
    text = (files("flowledger.clients") / "data" / name).read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


@lru_cache(maxsize=4_096)
def email_address(text: str) -> str | None:
    """The address to write to, in lower case with its domain in ASCII; None when it is no address.

    Addresses with letters beyond ASCII before the @ are refused: too few servers deliver them.
    """
    try:
        parsed = validate_email(
            text.strip().lower(), check_deliverability=False, allow_smtputf8=False, globally_deliverable=False
        )
    except EmailNotValidError:
        return None
    local, domain = parsed.local_part.lower(), parsed.ascii_domain.lower()
    address = f"{local}@{domain}"
    return address if len(address) <= MAX_EMAIL and address.isascii() else None


def email_key(text: str) -> str | None:
    """The one spelling under which a mailbox is known; None when the text is no address."""
    address = email_address(text)
    if address is None:
        return None
    local, _, domain = address.rpartition("@")
    domain = _SAME_MAILBOX.get(domain, domain)
    if domain in _PLUS_TAGS:
        local = local.partition("+")[0] or local
    if domain in _NO_DOTS:
        local = local.replace(".", "") or local
    return f"{local}@{domain}"


def phone_number(text: str, region: str) -> str | None:
    """E.164, reading numbers without a country code as of `region` (ISO 3166); None when no such number can exist."""
    try:
        parsed = phonenumbers.parse(text.strip(), region.upper() or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return number if _E164.fullmatch(number) else None


def registrable_domain(text: str) -> str | None:
    """What somebody registered in a host, address or URL, in ASCII; None for a bare suffix or an IP address."""
    host = text.strip().lower().rpartition("@")[2]
    found = _public_suffixes(host).top_domain_under_public_suffix
    if not found:
        return None
    try:
        ascii_domain = found if found.isascii() else idna.encode(found, uts46=True).decode()
    except UnicodeError:
        return None
    return ascii_domain if _DOMAIN.fullmatch(ascii_domain) else None


def is_free_mail(domain: str) -> bool:
    """Whether the domain gives addresses to anybody and so identifies no company."""
    return domain in lines_of("free_mail_domains.txt")


def company_domain(text: str) -> str | None:
    """The registrable domain that identifies a company; None for free mail."""
    domain = registrable_domain(text)
    return None if domain is None or is_free_mail(domain) else domain


def company_name_key(text: str) -> str | None:
    """A company's name folded to plain lower-case Latin words without its legal form; None when no word is left.

    `Müller & Söhne GmbH & Co. KG` → `muller sohne`, `ТОВ Ромашка` → `romashka`. A name that is nothing but a legal form
    stays as it is.
    """
    words = _NO_WORD.sub(" ", latin(text).replace(".", "")).split()
    forms = lines_of("legal_forms.txt")
    shortened = True
    while shortened:
        shortened = False
        for length in (4, 3, 2, 1):
            if len(words) > length and " ".join(words[-length:]) in forms:
                words, shortened = words[:-length], True
                break
            # In the east of Europe the form comes first.
            if length == 1 and len(words) > 1 and words[0] in _LEADING_FORMS:
                words, shortened = words[1:], True
    return " ".join(words)[:MAX_COMPANY_NAME].strip() or None
