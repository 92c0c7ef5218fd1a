"""The world of the suite: signals made in SQL with thirty facts of every type, and profiles that look at them.

Every value comes from a hash of the signal's number and the field's name, so that a run is the same as the one before.
A fact is missing in one signal of five; of some, the client or enrichment knows it then. A signal of three writes its
numbers as people do ("60k"). Some fields have a dozen values, some hardly one twice: what was seen before is cheap to
evaluate, so both kinds belong in.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from spotlight.models import Spotlight
from spotlight.services import create_spotlight

SEED = 20_260
CRITERIA = 15
ACTOR = Actor.system("bench")
INDUSTRIES = (
    *("Financial Services", "Insurance", "Banking", "Logistics", "Manufacturing", "Retail", "Healthcare"),
    *("Energy", "Construction", "Public sector", "Software", "Food"),
)
CITIES = ("Hamburg", "Lyon", "Leeds", "Boston", "Milano", "Madrid", "Utrecht", "Brno")
REGIONS = ("DACH", "UKI", "Iberia", "Nordics", "Benelux", "France", "Italy", "North America")


@dataclass(frozen=True)
class Number:
    """A number field: its values are multiples of `step` up to `most`."""

    name: str
    most: int
    step: int = 1


NUMBERS = (
    Number("budget", 300_000, 5_000),
    Number("employees", 2_000),
    Number("sites", 40),
    Number("seats", 900),
    Number("machines", 120),
    Number("turnover", 90_000_000),
    Number("orders_a_month", 20_000),
    Number("years_in_business", 80),
    Number("growth_percent", 60),
    Number("it_staff", 70),
)
YES_NO = (
    "has_erp",
    "exports",
    "is_certified",
    "has_it_department",
    "is_listed",
    "buys_abroad",
    "has_budget",
    "is_owner",
)
DATES = ("contract_ends_on", "decides_on", "founded_on", "audit_on")
LISTS = {"industry": INDUSTRIES, "region": REGIONS, "main_site": CITIES}
TEXTS = {"city": CITIES, "branch": INDUSTRIES, "reseller": CITIES, "competitor": INDUSTRIES, "language": REGIONS}


def profiles(org: Organization, count: int, *, at: datetime) -> list[Spotlight]:
    """So many active profiles of fifteen criteria each, made by the use case."""
    chance = random.Random(SEED)
    return [
        create_spotlight(
            org=org,
            fields={"name": f"Bench {number:02d}", "domain": "bench"},
            criteria=criteria(chance),
            actor=ACTOR,
            at=at,
        )
        for number in range(count)
    ]


def criteria(chance: random.Random) -> list[dict[str, Any]]:
    """Fifteen of the fields, half of them numbers and dates with a bound that partial credit reaches past."""
    chosen = chance.sample(list(_wishes(chance)), CRITERIA)
    return [{**wish, "weight": chance.choice((5, 8, 10, 12, 15, 20))} for wish in chosen]


def _wishes(chance: random.Random) -> Iterator[dict[str, Any]]:
    """One wish for each field."""
    for number in NUMBERS:
        low = number.most * chance.randrange(2, 6) // 10
        operator = chance.choice((">=", ">", "<=", "between"))
        value: Any = [low, low * 2] if operator == "between" else low
        yield {"field_name": number.name, "field_type": "number", "operator": operator, "value": value}
    for name in YES_NO:
        yield {"field_name": name, "field_type": "boolean", "operator": "=", "value": chance.random() < 0.7}
    for name in DATES:
        year = chance.randrange(2024, 2028)
        yield {"field_name": name, "field_type": "date", "operator": ">=", "value": f"{year}-06-01"}
    for name, values in LISTS.items():
        wanted = chance.sample(values, 3)
        yield {
            "field_name": name,
            "field_type": "enum",
            "enum_values": list(values),
            "operator": "in",
            "value": wanted,
        }
    for name, values in TEXTS.items():
        word = chance.choice(values)
        if chance.random() < 0.3:
            yield {"field_name": name, "field_type": "text", "operator": "matches", "value": f"^{word[:4]}"}
        else:
            yield {"field_name": name, "field_type": "text", "operator": "contains", "value": word[:5]}


def fill(org: Organization, signals: int, *, at: datetime) -> None:
    """So many signals, with a client for twenty of them each and enrichment of every second client."""
    stamps = "%(org)s, %(at)s, %(at)s, 1"
    base = "org_id, created_at, updated_at, row_version"
    known = {"org": org.pk, "at": at, "signals": signals, "clients": signals // 20}
    assert signals % 20 == 0, "twenty signals of each client"
    with org_scope(org), connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO clients_client ({base}, name, domain, industry, size_band, country, is_active, attributes)
                SELECT {stamps}, 'Company ' || n, 'company' || n || '.example', {_one_of("of-client", INDUSTRIES)},
                    '', '', true, jsonb_build_object('employees', {_number(NUMBERS[1], "client")})
                FROM generate_series(1, %(clients)s) n""",
            known,
        )
        cursor.execute(
            f"""INSERT INTO spotlight_enrichedfact ({base}, client_id, field_name, value, provider, confidence,
                    fetched_at)
                SELECT {stamps}, c.id, f.name, f.value, 'bench', 0.9, %(at)s
                FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM clients_client WHERE org_id = %(org)s) c
                CROSS JOIN LATERAL (VALUES
                    ('turnover', to_jsonb({_number(NUMBERS[5], "enriched", "c.n")})),
                    ('region', to_jsonb({_one_of("enriched", REGIONS, "c.n")}))) f (name, value)
                WHERE c.n %% 2 = 0""",
            known,
        )
        cursor.execute(
            f"""INSERT INTO workstream_signal ({base}, source_type, source_ref, ts, snippet, problem_phrase,
                    solution_hint, contact_email, contact_phone, contact_name, company_name, company_domain,
                    attributes, identity_resolution, disposition, reject_reason, client_id)
                SELECT {stamps}, 'web_form', '', %(at)s - n * interval '10 seconds', 'We ask for an offer, ' || n,
                    '', '', 'person' || n || '@example.com', '', 'Person ' || n, '', '', {_attributes()}, '{{}}',
                    'new', '', c.id
                FROM generate_series(1, %(signals)s) n
                JOIN (SELECT id, row_number() OVER (ORDER BY id) AS number FROM clients_client
                       WHERE org_id = %(org)s) c ON c.number = (n - 1) / 20 + 1""",
            known,
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def signal_ids(org: Organization) -> list[int]:
    """Every signal, oldest key first."""
    with org_scope(org), connection.cursor() as cursor:
        cursor.execute("SELECT id FROM workstream_signal WHERE org_id = %s ORDER BY id", [org.pk])
        return [row[0] for row in cursor.fetchall()]


# What a signal says, as SQL over its number n ------------------------------------------------------------------------


def _attributes() -> str:
    facts = {number.name: _written(number) for number in NUMBERS}
    facts |= {name: f"to_jsonb({_hash(name)} %% 10 < 6)" for name in YES_NO}
    facts |= {name: f"to_jsonb(date '2022-01-01' + ({_hash(name)} %% 2400)::int)" for name in DATES}
    facts |= {name: f"to_jsonb({_one_of(name, values)})" for name, values in (LISTS | TEXTS).items()}
    pairs = [f"'{name}', CASE WHEN {_hash(name + '-told')} %% 5 > 0 THEN {value} END" for name, value in facts.items()]
    return f"jsonb_strip_nulls(jsonb_build_object({', '.join(pairs)}))"


def _hash(name: str, number: str = "n") -> str:
    return f"(hashtextextended('{name}', {number}) & 1073741823)"


def _number(field: Number, salt: str = "", number: str = "n") -> str:
    return f"({_hash(field.name + salt, number)} %% {field.most // field.step} + 1) * {field.step}"


def _written(field: Number) -> str:
    """A number, or in one signal of three the way people write it."""
    value = _number(field)
    return (
        f"CASE WHEN n %% 3 = 0 AND {value} >= 1000 THEN to_jsonb(round(({value}) / 1000.0, 1) || 'k')"
        f" ELSE to_jsonb({value}) END"
    )


def _one_of(name: str, values: tuple[str, ...], number: str = "n") -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"(ARRAY[{listed}])[1 + {_hash(name, number)} %% {len(values)}]"
