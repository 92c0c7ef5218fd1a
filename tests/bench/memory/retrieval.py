"""What each system finds for the questions, over the same atoms: FlowLedger's search, and PostgreSQL's own full text.

PostgreSQL and BM25 get two texts of every atom: what it says, and that with the names of the clients and contacts that
it is linked to in front, which is what one would index who knows that people ask by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import psycopg

from flowledger.clients.models import Client, Contact
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from memory.models import Atom, AtomLink
from memory.services.search import search
from tests.bench.memory.corpus import Corpus
from tests.bench.memory.scoring import TOP

TEXTS = ("content", "with_names")
_TELLING_WORDS = 4

_TABLE = """
CREATE TABLE bench_document (
    way text, atom_id bigint, body text, words tsvector GENERATED ALWAYS AS (to_tsvector('english', body)) STORED,
    PRIMARY KEY (way, atom_id)
)
"""
_QUERIES = {
    "and": "websearch_to_tsquery('english', %(question)s)",
    "or": "replace(plainto_tsquery('english', %(question)s)::text, '&', '|')::tsquery",
}
_RANKED = """
SELECT atom_id FROM bench_document, (SELECT {query} AS asked) AS given
 WHERE way = %(way)s AND words @@ asked ORDER BY ts_rank(words, asked) DESC, atom_id LIMIT %(top)s
"""
_LEXEMES = """
SELECT atom_id, array_agg(lexeme || repeat(E'\\n' || lexeme, coalesce(array_length(positions, 1), 1) - 1))
  FROM bench_document, unnest(words) WHERE way = %s GROUP BY atom_id ORDER BY atom_id
"""
_LEXEMES_OF_QUESTION = "SELECT tsvector_to_array(to_tsvector('english', %s))"


def evidence_of(org: Organization, corpus: Corpus, clients: dict[str, int]) -> list[list[list[int]]]:
    """For each question, for each line that answers it, the atoms of its client that say it."""
    of_client: dict[int, list[tuple[int, str]]] = {}
    with org_scope(org):
        rows = AtomLink.objects.for_org(org).filter(client_id__in=set(clients.values()), atom__state="active")
        for client, atom, content in rows.order_by("atom_id").values_list("client_id", "atom_id", "atom__content"):
            of_client.setdefault(client, []).append((atom, content))
    found = []
    for question in corpus.questions:
        story = corpus.story(question.story)
        atoms = of_client.get(clients[story.key], [])
        lines = [story.line(label).text for label in question.evidence]
        found.append([[atom for atom, content in atoms if _says(content, line)] for line in lines])
    return found


def _says(content: str, line: str) -> bool:
    """Whether an atom says a line, or a sentence of it that is no mere phrase."""
    said, text = _plain(content), _plain(line)
    sentences = [_plain(each) for each in re.split(r"(?<=[.!?;])\s+", line)]
    return said in text or any(len(each.split()) >= _TELLING_WORDS and each in said for each in sentences)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def ask_flowledger(org: Organization, questions: Sequence[str], *, actor: Actor, at: datetime) -> list[list[int]]:
    """The first hits of FlowLedger's own search."""
    rankings = []
    for question in questions:
        results = search(org=org, question=question, actor=actor, at=at, limit=TOP)
        rankings.append([hit.atom.pk for hit in results.hits])
    return rankings


class Documents:
    """The atoms in a table of their own, as somebody would index them who has PostgreSQL and nothing else."""

    def __init__(self, url: str, org: Organization) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute(_TABLE)
        with self.connection.cursor().copy("COPY bench_document (way, atom_id, body) FROM STDIN") as copy:
            for atom, content, names in _texts(org):
                copy.write_row(("content", atom, content))
                copy.write_row(("with_names", atom, f"{names} {content}"))
        self.connection.execute("CREATE INDEX ON bench_document USING gin (words)")
        self.connection.execute("ANALYZE bench_document")

    def ask(self, questions: Sequence[str], *, joined: str, way: str) -> list[list[int]]:
        """The first by ts_rank, with all words of the question (`and`) or any (`or`)."""
        statement = _RANKED.format(query=_QUERIES[joined])
        rankings = []
        for question in questions:
            given = {"question": question, "way": way, "top": TOP}
            rankings.append([row[0] for row in self.connection.execute(statement, given)])
        return rankings

    def for_bm25(self, questions: Sequence[str], *, way: str) -> dict[str, Any]:
        """The input of `bm25_peer`: every lexeme as often as it stands in the text."""
        documents = {
            str(atom): [lexeme for each in lexemes for lexeme in each.split("\n")]
            for atom, lexemes in self.connection.execute(_LEXEMES, [way])
        }
        asked: dict[str, list[str]] = {}
        for number, question in enumerate(questions):
            row = self.connection.execute(_LEXEMES_OF_QUESTION, [question]).fetchone()
            assert row is not None
            asked[str(number)] = row[0]
        return {"documents": documents, "questions": asked, "top": TOP}


def _texts(org: Organization) -> Iterable[tuple[int, str, str]]:
    """Each active atom with its text and with the names of whom it is linked to."""
    with org_scope(org):
        names: dict[tuple[str, int], str] = {}
        for kind, model in (("client", Client), ("contact", Contact)):
            rows = model.objects.for_org(org)
            names |= {(kind, pk): name for pk, name in rows.values_list("pk", "name")}
        of_atom: dict[int, list[str]] = {}
        links = AtomLink.objects.for_org(org).order_by("pk")
        for atom, client, contact in links.values_list("atom_id", "client_id", "contact_id"):
            for entity in (("client", client), ("contact", contact)):
                if entity[1] is not None:
                    of_atom.setdefault(atom, []).append(names[entity])
        rows = Atom.objects.for_org(org).active().order_by("pk")
        return [(pk, content, " ".join(of_atom.get(pk, ()))) for pk, content in rows.values_list("pk", "content")]
