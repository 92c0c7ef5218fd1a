"""Names of domains and fields as they are compared, and refusals that name the field at fault."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from flowledger.errors import InvalidInput
from spotlight.evaluation.reading import fold_name

LONGEST = 60
_DOMAIN = re.compile(r"[a-z0-9][a-z0-9_-]*")
_FIELD = re.compile(r"[a-z][a-z0-9_]*")


def checked_domain(value: Any) -> str:
    """The domain in lower case, blanks as hyphens. Raises InvalidInput."""
    domain = re.sub(r"\s+", "-", str(value).strip().lower())
    if len(domain) > LONGEST or not _DOMAIN.fullmatch(domain):
        refuse(
            "domain",
            f"Write the domain as one word of letters, digits, - and _, at most {LONGEST}; for example manufacturing.",
        )
    return domain


def checked_field_name(value: Any, path: str = "field_name") -> str:
    """The folded name of a field. Raises InvalidInput, which names `path`."""
    name = fold_name(str(value))
    if len(name) > LONGEST or not _FIELD.fullmatch(name):
        refuse(
            path,
            f"Write the name of the field in letters a to z, digits and _, a letter first and at most {LONGEST}; "
            "for example company_size.",
        )
    return name


def require_known(fields: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise InvalidInput for what cannot be written."""
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise InvalidInput(
            f"There is no field {', '.join(unknown)} to write.",
            fields={name: ["This field cannot be set here."] for name in unknown},
        )


def refuse(path: str, sentence: str) -> NoReturn:
    """Refuse one field of what was given."""
    raise InvalidInput(sentence, fields={path: [sentence]})
