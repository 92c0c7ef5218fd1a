"""Who and what a question names: clients and contacts of the organisation."""

from __future__ import annotations

from flowledger.clients.company_names import NamesAgree, compare_companies
from flowledger.clients.models import Client
from flowledger.clients.normalising import company_name_key
from flowledger.clients.sql.matching import find_companies
from flowledger.tenancy.models import Organization
from memory.search import naming
from memory.search.types import Named
from memory.sql import search as sql


def entities_named_in(*, org: Organization, question: str) -> list[Named]:
    """The clients and contacts that a question names: in full, by the telling part of the name, or misspelt.

    A word that many carry names nobody. Part of the searches, which have opened the organisation's scope.
    """
    tokens = naming.tokens_of(question)
    phrases = naming.phrases_of(tokens)
    if not phrases:
        return []
    named = naming.named_among((naming.Row(*row) for row in sql.carriers_of(phrases)), tokens)
    return [*named, *_misspelt(org, naming.unnamed_capitals(tokens, named))]


def _misspelt(org: Organization, runs: list[str]) -> list[Named]:
    """Clients whose name is a slip away from words written like a name."""
    keys = {run: key for run in runs if (key := company_name_key(run))}
    if not keys:
        return []
    found = dict(zip(keys, find_companies(list(keys.values())), strict=True))
    names = {
        pk: (canonical_id or pk, name)
        for pk, canonical_id, name in Client.objects.for_org(org)
        .filter(pk__in={pk for ids in found.values() for pk in ids})
        .values_list("pk", "canonical_id", "name")
    }
    return [
        Named("client", names[pk][0], run, names[pk][1])
        for run, ids in found.items()
        for pk in ids
        if pk in names and (compare_companies(run, names[pk][1]) or NamesAgree.DIFFERENT) >= NamesAgree.MISSPELLED
    ]
