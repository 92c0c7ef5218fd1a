"""Checks of what people write about clients and contacts, shared by their use cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowledger.clients import normalising
from flowledger.errors import InvalidInput


def only_known(fields: Mapping[str, Any], known: Iterable[str], *, of: str) -> dict[str, Any]:
    """The fields with their texts stripped. Raises TypeError for one that the use case does not take."""
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise TypeError(f"A {of} has no field {', '.join(unknown)} that can be set here.")
    return {name: value.strip() if isinstance(value, str) else value for name, value in fields.items()}


def normal_email(fields: dict[str, Any]) -> None:
    """Bring `email` into its stored form. Raises InvalidInput when it is no address."""
    if fields.get("email"):
        address = normalising.email_address(fields["email"])
        if address is None:
            refuse("email", f"'{fields['email'][:100]}' is no email address.")
        fields["email"] = address


def normal_phone(fields: dict[str, Any], *, region: str) -> None:
    """Bring `phone` into E.164. Raises InvalidInput when no such number can exist."""
    if fields.get("phone"):
        number = normalising.phone_number(fields["phone"], region)
        if number is None:
            refuse("phone", f"'{fields['phone'][:40]}' is no phone number; begin with + and the country code.")
        fields["phone"] = number


def normal_domain(fields: dict[str, Any]) -> None:
    """Bring `domain` into the registrable domain. Raises InvalidInput when there is none in it."""
    if fields.get("domain"):
        domain = normalising.registrable_domain(fields["domain"])
        if domain is None:
            refuse("domain", f"'{fields['domain'][:100]}' is no domain; write it like acme.co.uk.")
        fields["domain"] = domain


def require_object(fields: Mapping[str, Any], *names: str) -> None:
    """Raise InvalidInput for a JSON field that is no object."""
    for name in names:
        if name in fields and not isinstance(fields[name], dict):
            refuse(name, f"{name} is a JSON object.")


def refuse(field: str, sentence: str) -> None:
    """Raise InvalidInput about one field."""
    raise InvalidInput(sentence, fields={field: [sentence]})
