"""A million atoms to search in: organisations of very different sizes, texts as common and rare as those of a language.

Everything follows from the seed. Words are made of syllables and drawn by Zipf's and Mandelbrot's law, so that the most
frequent stands in a ninth of the atoms; English words that say nothing stand between them. Clients, contacts and the
conversations that atoms belong to are real rows and keys.
"""

from __future__ import annotations

import io
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

SEED = 41
VOCABULARY = 20_000
# What is said in between.
FILLERS = tuple(
    word
    for line in ("the of we to is and a in that they it for on with", "this was are at by our will be from")
    for word in line.split()
)
KINDS = (("decision", 100), ("risk", 90), ("preference", 80), ("note", 60), ("status", 40))
SYLLABLES = tuple(
    syllable
    for line in (
        "ba ber cal cor da del en fi gar gen hel in ka kor la lin lum mar mer mon",
        "na nor pa per qua ra ren sil so ta tel tri u ver vi xen",
    )
    for syllable in line.split()
)
TRADES = ("Logistics", "Engineering", "Foods", "Systems", "Insurance", "Medical", "Energy", "Holdings")
IN_A_THREAD = 12
ATOMS_A_CONTACT = 60
CONTACTS_A_CLIENT = 3
CHUNK = 50_000


@dataclass(frozen=True)
class Question:
    """One search: its text, and the organisation that asks."""

    org_id: int
    text: str


def sizes(atoms: int, organisations: int) -> list[int]:
    """How many atoms each organisation has: the n-th in proportion to n^-0.8."""
    shares = [(place + 1) ** -0.8 for place in range(organisations)]
    return [max(1, round(atoms * share / sum(shares))) for share in shares]


class Language:
    """Words and names, the same for the same seed."""

    def __init__(self) -> None:
        self.chance = random.Random(SEED)
        words: dict[str, None] = {}
        while len(words) < VOCABULARY:
            words["".join(self.chance.choices(SYLLABLES, k=self.chance.choice((2, 2, 3, 3, 4))))] = None
        self.words = list(words)
        self.cumulated = list(itertools.accumulate(1 / (rank + 30) ** 1.05 for rank in range(VOCABULARY)))

    def draw(self, count: int) -> list[str]:
        return self.chance.choices(self.words, cum_weights=self.cumulated, k=count)

    def name(self) -> str:
        return "".join(self.chance.choices(SYLLABLES, k=3)).capitalize()

    def text(self, *, named: str) -> str:
        words = self.draw(self.chance.randrange(10, 22))
        words += self.chance.choices(FILLERS, k=len(words))
        self.chance.shuffle(words)
        if named:
            words.insert(self.chance.randrange(len(words)), named)
        return " ".join(words).capitalize() + "."

    def question(self, text: str, *, named: str) -> str:
        """A few words of a text, and one or two that are everywhere."""
        content = [word for word in text.rstrip(".").lower().split() if word not in FILLERS]
        asked = self.chance.sample(content, k=min(len(content), self.chance.randrange(2, 5)))
        asked += self.draw(self.chance.randrange(1, 3))
        return f"What did {named or 'they'} say about the {' '.join(asked)}?"


def fill(database_url: str, org_ids: list[int], *, atoms: int, at: datetime | None = None) -> list[Question]:
    """Atoms with their links for each organisation; answers questions about them, as many as organisations ask."""
    language, now = Language(), at or datetime.now(UTC)
    questions: list[Question] = []
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT set_config('role', 'flowledger_system', false)")
        for org_id, count in zip(org_ids, sizes(atoms, len(org_ids)), strict=True):
            people = _people(connection, language, org_id, count)
            for start in range(0, count, CHUNK):
                rows = list(_atoms(language, people, min(CHUNK, count - start), start, now))
                questions += _asked(language, rows, org_id)
                _store(connection, org_id, rows)
            connection.commit()
            print(f"   organisation {org_id}: {count:,} atoms", flush=True)
    return questions


@dataclass(frozen=True)
class _Person:
    contact_id: int
    client_id: int
    name: str
    company: str


def _people(connection: Any, language: Language, org_id: int, atoms: int) -> list[_Person]:
    """Clients and their contacts."""
    contacts = max(3, atoms // ATOMS_A_CONTACT)
    companies = [
        f"{language.name()} {language.chance.choice(TRADES)}" for _ in range(max(1, contacts // CONTACTS_A_CLIENT))
    ]
    base = "org_id, created_at, updated_at, row_version"
    found = connection.execute(
        f"""INSERT INTO clients_client ({base}, name, domain, industry, size_band, country, is_active, attributes)
            SELECT %(org)s, now(), now(), 1, name, '', '', '', '', true, '{{}}'
            FROM jsonb_array_elements_text(%(names)s::jsonb) AS given (name) RETURNING id, name""",
        {"org": org_id, "names": json.dumps(companies)},
    ).fetchall()
    names = [f"{language.name()} {language.name()}" for _ in range(contacts)]
    clients = [found[place % len(found)] for place in range(contacts)]
    rows = connection.execute(
        f"""INSERT INTO clients_contact ({base}, client_id, name, email, phone, title, preferences, social_links,
                is_active)
            SELECT %(org)s, now(), now(), 1, client_id, name, '', '', '', '{{}}', '{{}}', true
            FROM unnest(%(clients)s::bigint[], %(names)s::text[]) AS given (client_id, name) RETURNING id""",
        {"org": org_id, "clients": [client_id for client_id, _ in clients], "names": names},
    ).fetchall()
    return [
        _Person(contact_id=pk, client_id=client_id, name=name, company=company)
        for (pk,), (client_id, company), name in zip(rows, clients, names, strict=True)
    ]


def _atoms(language: Language, people: list[_Person], count: int, start: int, now: datetime) -> Iterator[list[Any]]:
    """(contact, client, kind, points, text, thread, occurred at, who is named in the question)."""
    chance = language.chance
    person, thread, began = people[0], "", now
    for place in range(count):
        if place % IN_A_THREAD == 0:
            person = chance.choice(people)
            thread, began = f"thread:{start + place}", now - timedelta(minutes=chance.randrange(1_000_000))
        kind, points = chance.choices(KINDS, weights=(1, 1, 1, 5, 2))[0]
        said = chance.random()
        named = person.name if said < 0.2 else person.company if said < 0.35 else ""
        asked = person.name if chance.random() < 0.25 else person.company if chance.random() < 0.33 else ""
        text = language.text(named=named)
        happened = began + timedelta(minutes=place % IN_A_THREAD)
        yield [person.contact_id, person.client_id, kind, points, text, thread, happened, asked]


def _asked(language: Language, rows: list[list[Any]], org_id: int) -> list[Question]:
    """Questions about every five hundredth atom."""
    chosen = rows[:: max(1, min(500, len(rows) // 4))]
    return [Question(org_id, language.question(row[4], named=row[7])) for row in chosen]


def _store(connection: Any, org_id: int, rows: list[list[Any]]) -> None:
    connection.execute("RESET ROLE")
    connection.execute(
        """CREATE TEMP TABLE IF NOT EXISTS drawn (contact_id bigint, client_id bigint, kind text, points smallint,
           content text, thread_key text, occurred_at timestamptz) ON COMMIT DELETE ROWS"""
    )
    connection.execute("GRANT SELECT ON drawn TO flowledger_system")
    buffer = io.StringIO()
    for row in rows:
        buffer.write("\t".join(str(value) for value in row[:7]) + "\n")
    with connection.cursor().copy("COPY drawn FROM STDIN") as copy:
        copy.write(buffer.getvalue())
    connection.execute("SELECT set_config('role', 'flowledger_system', false)")
    connection.execute(
        """
        WITH atom AS (
            INSERT INTO memory_atom (org_id, created_at, updated_at, row_version, kind, content, language, tags,
                audience, state, thread_key, occurred_at, valid_from, confidence, base_score, content_hash, version,
                seen_count, last_seen_at, is_pinned, is_locked, contact_id)
            SELECT %(org)s, now(), now(), 1, kind, content, 'en', '{}', 'everyone', 'active', thread_key, occurred_at,
                occurred_at, 1, points, md5(content), 1, 1, occurred_at, false, false, contact_id
            FROM drawn RETURNING id, contact_id, kind, occurred_at
        ),
        linked AS (
            SELECT atom.*, contact.client_id FROM atom JOIN clients_contact contact
                ON contact.id = atom.contact_id AND contact.org_id = %(org)s
        )
        INSERT INTO memory_atomlink (org_id, created_at, updated_at, row_version, atom_id, role, kind, occurred_at,
            contact_id, client_id)
        SELECT %(org)s, now(), now(), 1, id, 'subject', kind, occurred_at, contact_id, NULL FROM linked
        UNION ALL
        SELECT %(org)s, now(), now(), 1, id, 'through', kind, occurred_at, NULL, client_id FROM linked
        """,
        {"org": org_id},
    )
    connection.commit()
    connection.execute("SELECT set_config('role', 'flowledger_system', false)")
