"""How a record of somebody differs from what the base knows of them: published models, one function each.

After the generators of FEBRL (Christen, KDD 2008; Christen and Pudjijono, "Accurate synthetic generation of realistic
personal information", PAKDD 2009) and GeCo (Tran, Vatsalan and Christen, "GeCo: an online personal data generator and
corruptor", CIKM 2013), and the UIS generator of Hernández and Stolfo ("Real-world data is dirty", Data Mining and
Knowledge Discovery 2, 1998). What they have not is what a sales organisation meets: other addresses, free mail,
switchboards, subsidiaries, new jobs; each says what it does.

A person is one contact for life: who changed jobs is the same person at another company.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import phonenumbers

from tests.bench.identity import stock
from tests.bench.identity.drafts import Corruption, Draft
from tests.bench.identity.entities import PATTERNS, Directory, Draws, latin, local_part
from tests.bench.identity.spelling import mishear, misread, misspell

# First stage: the parts of the name, the address, the phone, the company


def nickname(draft: Draft, directory: Directory) -> bool:
    """Another name of the same group, in either direction."""
    found = {name for group in stock.NICKNAMES if draft.given in group for name in group} - {draft.given}
    if not found:
        return False
    draft.given = directory.draws.random.choice(sorted(found))
    return True


def initial(draft: Draft, directory: Directory) -> bool:
    draft.given = draft.given[0] + ("." if directory.draws.yes(0.7) else "")
    draft.middle = ""
    return True


def swapped_names(draft: Draft, directory: Directory) -> bool:
    draft.family_first = directory.draws.random.choice((" ", ", "))
    return True


def honorific(draft: Draft, directory: Directory) -> bool:
    if directory.draws.yes(0.8):
        draft.before = directory.draws.random.choice(stock.HONORIFICS)
    else:
        draft.after = directory.draws.random.choice(stock.SUFFIXES)
    return True


def middle_name(draft: Draft, directory: Directory) -> bool:
    """A second given name, or its initial, which the base does not have."""
    names = stock.names_of(draft.person.country.locale)
    middle = draft.person.middle or directory.draws.random.choice(names.female if draft.person.is_woman else names.male)
    draft.middle = middle if directory.draws.yes(0.5) else f"{middle[0]}."
    return True


def new_family_name(draft: Draft, directory: Directory) -> bool:
    """Another family name, half of them beside the old one; the address stays, or the mobile number does."""
    draws, person = directory.draws, draft.person
    names = stock.names_of(person.country.locale)
    other = draws.random.choice(names.family_of_women if person.is_woman else names.family_of_men)
    if other == draft.family:
        return False
    moves_address = draws.yes(0.4)
    if moves_address and person.phone != person.mobile:
        return False
    draft.family = f"{draft.family}-{other}" if draws.yes(0.5) else other
    if moves_address:
        domain = directory.mail_domain(draft.company)
        draft.email = directory.new_address(draft.company.address_pattern, draft.given, other, domain)
        draft.phone = person.mobile
    return True


def transliteration(draft: Draft, directory: Directory) -> bool:
    """The name, and mostly the company's, in other letters than the base has: ü as ue or u, Иван as Ivan and back."""
    variant = 0 if directory.draws.yes(0.6) else 1
    name = f"{draft.given} {draft.family}"
    if name.isascii() and draft.company_name.isascii():
        return False
    if draft.person.is_latin:
        # The base has Latin letters; the record brings their own.
        return True
    draft.given, draft.family = latin(draft.given, variant=variant), latin(draft.family, variant=variant)
    draft.middle = latin(draft.middle, variant=variant)
    if directory.draws.yes(0.7):
        draft.company_name = latin(draft.company_name, variant=variant)
    return True


def plus_tag(draft: Draft, directory: Directory) -> bool:
    """A tag behind a plus sign; at Gmail as often a dot more or less."""
    local, _, domain = draft.email.partition("@")
    if not domain or "+" in local:
        return False
    if domain == "gmail.com" and len(local) > 3 and directory.draws.yes(0.5):
        local = local.replace(".", "") if "." in local else f"{local[:2]}.{local[2:]}"
    else:
        local = f"{local}+{directory.draws.random.choice(('news', 'crm', 'web', 'events', '2026', 'shop'))}"
    draft.email = f"{local}@{domain}"
    return True


def free_mail(draft: Draft, directory: Directory) -> bool:
    """The private address instead of the one at work."""
    if draft.person.email == draft.person.private_email:
        return False
    draft.email = draft.person.private_email
    return True


def other_address(draft: Draft, directory: Directory) -> bool:
    """Another spelling of the address at the same company, as aliases are: j.doe@ for jane.doe@."""
    draws, person, company = directory.draws, draft.person, draft.company
    pattern = draws.random.choice([one for one in PATTERNS if one != company.address_pattern])
    local = local_part(pattern, person.given, person.family)
    domain = directory.mail_domain(company) if draws.yes(0.8) else company.other_domain
    address = f"{local}@{domain}"
    if address == person.email or directory.is_taken(address):
        return False
    draft.email = address
    return True


def role_mailbox(draft: Draft, directory: Directory) -> bool:
    """A mailbox of many: info@, office@; the name says who wrote."""
    role = directory.draws.random.choice(("info", "office", "sales", "contact", "einkauf", "admin", "kontakt"))
    draft.email = f"{role}@{directory.mail_domain(draft.company)}"
    return True


def shared_phone(draft: Draft, directory: Directory) -> bool:
    """The switchboard that all colleagues share."""
    draft.phone = draft.company.switchboard
    return True


def other_phone(draft: Draft, directory: Directory) -> bool:
    draft.phone = directory.draws.mobile(draft.company.country)
    return True


def typo_phone(draft: Draft, directory: Directory) -> bool:
    """One digit wrong, or two of them in the other order."""
    phone, chance = draft.phone, directory.draws.random
    if len(phone) < 9:
        return False
    place = chance.randrange(5, len(phone) - 1)
    if phone[place] != phone[place + 1] and directory.draws.yes(0.4):
        draft.phone = phone[:place] + phone[place + 1] + phone[place] + phone[place + 2 :]
    else:
        wrong = chance.choice([digit for digit in "0123456789" if digit != phone[place]])
        draft.phone = phone[:place] + wrong + phone[place + 1 :]
    return True


def phone_format(draft: Draft, directory: Directory) -> bool:
    """As people write numbers: for their country, for abroad, with 00, with an extension."""
    if not draft.phone.startswith("+"):
        return False
    number, chance = phonenumbers.parse(draft.phone), directory.draws.random
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    abroad = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    written = chance.choice(("national", "abroad", "abroad", "zeros", "trunk", "extension"))
    draft.phone = {
        "national": national,
        "abroad": abroad,
        "zeros": "00" + abroad[1:].replace("-", " "),
        "trunk": abroad.replace(" ", " (0)", 1),
        "extension": f"{abroad} ext. {directory.draws.digits(2)}",
    }[written]
    return True


def company_form(draft: Draft, directory: Directory) -> bool:
    """Without its legal form, or with another one of the country."""
    company = draft.company
    forms = [form for form in company.country.legal_forms if form != company.legal_form]
    words = [company.core, company.trade, directory.draws.random.choice(forms) if directory.draws.yes(0.4) else ""]
    draft.company_name = " ".join(word for word in words if word)
    return True


def company_short(draft: Draft, directory: Directory) -> bool:
    """Shortened: without its trade, with a word abbreviated, as its initials, or with its words in another order."""
    company, draws = draft.company, directory.draws
    words = f"{company.core} {company.trade}".split()
    if len(words) < 2:
        return False
    kind = draws.random.choice(("trade", "word", "word", "initials", "order"))
    if kind == "trade":
        draft.company_name = company.core
    elif kind == "word":
        shorter = [stock.ABBREVIATIONS.get(word, word) for word in words]
        if shorter == words:
            shorter = [*words[:-1], f"{words[-1][:4]}."]
        draft.company_name = " ".join(shorter)
    elif kind == "initials":
        letters = "".join(word[0] for word in words if word[0].isalnum()).upper()
        draft.company_name = f"{letters} {company.legal_form}" if len(letters) > 1 else company.core
    else:
        draft.company_name = " ".join([*words[1:], words[0]])
    return True


def company_noise(draft: Draft, directory: Directory) -> bool:
    """With a department, a place, an article or a group around it."""
    company, chance = draft.company, directory.draws.random
    name, city = draft.company_name or company.name, chance.choice(company.country.cities)
    plain = f"{company.core} {company.trade}".strip()
    department = chance.choice(stock.DEPARTMENTS)
    forms = (
        f"{name} - {department}",
        f"{name}, {city}",
        f"The {plain} Group",
        f"{plain} {city}",
        f"{department} {name}",
    )
    draft.company_name = chance.choice(forms)
    return True


def company_domain(draft: Draft, directory: Directory) -> bool:
    """The company's other domain, with the address there."""
    draft.company_domain = draft.company.other_domain
    local, _, domain = draft.email.partition("@")
    if domain and domain == directory.mail_domain(draft.company):
        draft.email = f"{local}@{draft.company.other_domain}"
    return True


def subsidiary(draft: Draft, directory: Directory) -> bool:
    """What a subsidiary's people write: the group's name or its domain. True is the company that employs them."""
    if draft.company.parent is None:
        return False
    parent = directory.companies[draft.company.parent - 1]
    if directory.draws.yes(0.5):
        draft.company_domain = parent.domain
    else:
        draft.company_name = f"{draft.company.name} ({parent.core} Group)"
    return True


def changed_job(draft: Draft, directory: Directory) -> bool:
    """The same person at another company, with the address there; the mobile number went along.

    Only where the base has that number: without it nothing in the record says that they are one.
    """
    person, draws = draft.person, directory.draws
    if person.phone != person.mobile or not person.known:
        return False
    others = [one for one in draws.random.sample(directory.companies, 4) if one.id != person.company]
    new = others[0]
    draft.company = new
    draft.company_name, draft.company_domain = new.name, ""
    draft.email = directory.new_address(new.address_pattern, person.given, person.family, directory.mail_domain(new))
    draft.phone = person.mobile
    draft.job_title = draws.random.choice(stock.JOB_TITLES)
    return True


# Second stage: texts


def typo_name(draft: Draft, directory: Directory) -> bool:
    before, draft.name = draft.name, misspell(draft.name, directory.draws)
    return draft.name != before


def typo_email(draft: Draft, directory: Directory) -> bool:
    """In the local part, one in five in the domain; what is no address any more counts too."""
    local, _, domain = draft.email.partition("@")
    if not domain:
        return False
    before = draft.email
    if directory.draws.yes(0.8):
        local = misspell(local, directory.draws)
    else:
        name, dot, suffix = domain.partition(".")
        domain = f"{misspell(name, directory.draws)}{dot}{suffix}"
    draft.email = f"{local}@{domain}"
    return draft.email != before


def typo_company(draft: Draft, directory: Directory) -> bool:
    before, draft.company_name = draft.company_name, misspell(draft.company_name, directory.draws)
    return draft.company_name != before


def ocr(draft: Draft, directory: Directory) -> bool:
    """A scanned card: the name, the company or both."""
    return _both(draft, directory.draws, misread)


def phonetic(draft: Draft, directory: Directory) -> bool:
    """Taken down on the phone: the name, the company or both."""
    return _both(draft, directory.draws, mishear)


def _both(draft: Draft, draws: Draws, spoil: Callable[[str, Draws], str]) -> bool:
    before = draft.name, draft.company_name
    kind = draws.random.random()
    if kind < 0.7:
        draft.name = spoil(draft.name, draws)
    if kind > 0.4:
        draft.company_name = spoil(draft.company_name, draws)
    return (draft.name, draft.company_name) != before


def letter_case(draft: Draft, directory: Directory) -> bool:
    """All capitals or all small, with spaces too many."""
    before = draft.name, draft.company_name
    change = str.upper if directory.draws.yes(0.5) else str.lower
    draft.name = f" {change(draft.name).replace(' ', '  ')}" if draft.name else ""
    draft.company_name = change(draft.company_name)
    return (draft.name, draft.company_name) != before


def swapped_fields(draft: Draft, directory: Directory) -> bool:
    """Person and company in each other's field."""
    if not draft.name or not draft.company_name:
        return False
    draft.name, draft.company_name = draft.company_name, draft.name
    return True


@dataclass(frozen=True)
class Model:
    """A corruption, how often it is drawn, and what it changes: two that change the same thing do not meet."""

    corruption: Corruption
    weight: int
    change: Callable[[Draft, Directory], bool]
    touches: frozenset[str]
    is_text: bool = False


def _model(
    corruption: Corruption,
    weight: int,
    change: Callable[[Draft, Directory], bool],
    touches: str,
    *,
    is_text: bool = False,
) -> Model:
    return Model(corruption, weight, change, frozenset(touches.split()), is_text)


MODELS = (
    _model(Corruption.CHANGED_JOB, 4, changed_job, "employer address phone company domain"),
    _model(Corruption.SUBSIDIARY, 30, subsidiary, "company domain"),
    _model(Corruption.NICKNAME, 16, nickname, "given"),
    _model(Corruption.INITIAL, 5, initial, "given"),
    _model(Corruption.SWAPPED_NAMES, 5, swapped_names, "order"),
    _model(Corruption.HONORIFIC, 5, honorific, "honorific"),
    _model(Corruption.MIDDLE_NAME, 4, middle_name, "given"),
    _model(Corruption.NEW_FAMILY_NAME, 3, new_family_name, "family address phone"),
    _model(Corruption.TRANSLITERATION, 14, transliteration, "letters"),
    _model(Corruption.PLUS_TAG, 4, plus_tag, "address"),
    _model(Corruption.FREE_MAIL, 7, free_mail, "address"),
    _model(Corruption.OTHER_ADDRESS, 8, other_address, "address"),
    _model(Corruption.ROLE_MAILBOX, 3, role_mailbox, "address"),
    _model(Corruption.SHARED_PHONE, 6, shared_phone, "phone"),
    _model(Corruption.OTHER_PHONE, 4, other_phone, "phone"),
    _model(Corruption.TYPO_PHONE, 4, typo_phone, "phone"),
    _model(Corruption.PHONE_FORMAT, 6, phone_format, "phone"),
    _model(Corruption.COMPANY_FORM, 6, company_form, "company"),
    _model(Corruption.COMPANY_SHORT, 6, company_short, "company"),
    _model(Corruption.COMPANY_NOISE, 5, company_noise, "company"),
    _model(Corruption.COMPANY_DOMAIN, 4, company_domain, "address domain"),
    _model(Corruption.TYPO_NAME, 9, typo_name, "letters", is_text=True),
    _model(Corruption.TYPO_EMAIL, 7, typo_email, "address", is_text=True),
    _model(Corruption.TYPO_COMPANY, 7, typo_company, "company", is_text=True),
    _model(Corruption.OCR, 5, ocr, "letters", is_text=True),
    _model(Corruption.PHONETIC, 6, phonetic, "letters", is_text=True),
    _model(Corruption.LETTER_CASE, 5, letter_case, "case", is_text=True),
    _model(Corruption.SWAPPED_FIELDS, 1, swapped_fields, "order company", is_text=True),
)


def corrupt(draft: Draft, directory: Directory, *, count: int) -> None:
    """Draw so many models and apply them, parts before texts; what does not apply to a record is drawn anew."""
    draws = directory.draws
    left, chosen, touched = list(MODELS), [], set()
    drafted: list[Model] = []
    while left and len(drafted) < count:
        model = draws.random.choices(left, [one.weight for one in left])[0]
        left.remove(model)
        if touched & model.touches:
            continue
        if not model.is_text and not model.change(draft, directory):
            continue
        drafted.append(model)
        touched |= model.touches
    draft.write_name()
    for model in sorted(drafted, key=lambda one: one.corruption is Corruption.SWAPPED_FIELDS):
        if not model.is_text or model.change(draft, directory):
            chosen.append(model.corruption)
    draft.done = chosen
