"""What the suite does with the application's own code: `python -m tests.bench.identity.inside VERB`.

The last line of the output is the answer as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowledger.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from flowledger.clients.models import Contact  # noqa: E402
from flowledger.clients.services import resolution  # noqa: E402
from flowledger.tenancy.actors import Actor  # noqa: E402
from flowledger.tenancy.models import Organization  # noqa: E402
from flowledger.tenancy.scope import org_scope, system_scope  # noqa: E402
from tests.bench.identity import resolving  # noqa: E402
from tests.bench.identity.drafts import Corruption  # noqa: E402
from tests.bench.identity.labelled import REGION, SEEDS, Kind, Labelled, Record, make  # noqa: E402

BLOCK = 10_000
CHUNK = resolving.CHUNK
MISSPELT = {Corruption.TYPO_COMPANY, Corruption.OCR, Corruption.PHONETIC}
# Of ten signals: of known contacts, new people of known companies, misspelt companies, unknown people and companies.
MIX = (("known", 4), ("new_person", 2), ("misspelt", 2), ("unknown", 2))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.identity.inside", description=__doc__)
    parser.add_argument("verb", choices=["quality", "load", "grow", "resolve", "plans"])
    parser.add_argument("--seed", default="held-out")
    parser.add_argument("--contacts", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--org", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--singles", type=int, default=200)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    verbs: dict[str, Any] = {
        "quality": _quality,
        "load": _load,
        "grow": _grow,
        "resolve": _resolve,
        "plans": _plans,
    }
    print(json.dumps(verbs[given.verb](given)), flush=True)


def _quality(given: argparse.Namespace) -> dict[str, Any]:
    """Resolve the labelled records in an organisation of their own; the answers go to `--out`."""
    labelled = make(SEEDS[given.seed], contacts=given.contacts, records=given.records)
    loaded = resolving.load(labelled, resolving.new_organization("Quality"))
    _analyse()
    began = time.perf_counter()
    resolved = resolving.resolve_records(loaded, labelled.records)
    seconds = time.perf_counter() - began
    found = resolving.answers_of(loaded, resolved)
    answers = asdict(found)
    answers.pop("reasons")
    given.out.write_text(json.dumps(answers))
    return {"seconds": seconds}


def _load(given: argparse.Namespace) -> dict[str, int]:
    """Enter the base of the held-out data into the organisation: what the channels are measured over."""
    labelled = make(SEEDS["held-out"], contacts=given.contacts, records=1)
    resolving.load(labelled, _organization(given.org))
    _analyse()
    return {"contacts": len(labelled.contacts), "clients": len(labelled.clients)}


def _grow(given: argparse.Namespace) -> dict[str, Any]:
    """Add blocks of 10,000 contacts until the organisation has so many; each block is a draw with a seed of its own."""
    org = _organization(given.org)
    began = time.perf_counter()
    with org_scope(org):
        there = Contact.objects.for_org(org).count()
    for number in range(there // BLOCK, given.contacts // BLOCK):
        resolving.load(_block(number), org, mark="" if number == 0 else f"-b{number}")
    _analyse()
    with org_scope(org):
        return {"contacts": Contact.objects.for_org(org).count(), "seconds": time.perf_counter() - began}


def _block(number: int, *, records: int = 1) -> Labelled:
    return make(SEEDS["held-out"] + 1_000 * number, contacts=BLOCK, records=records)


def _resolve(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds per signal, in chunks and one by one; all of it is taken back, so that every size is asked the same."""
    org = _organization(given.org)
    asked = list(_mix(_block(0, records=BLOCK).records))
    chunks: list[float] = []
    for turn in range(given.rounds + 1):
        seconds = _timed(org, [asked[turn * CHUNK : (turn + 1) * CHUNK]])
        if turn:
            chunks += [one / CHUNK for one in seconds]
    last = asked[(given.rounds + 1) * CHUNK :][: given.singles + 20]
    singles = _timed(org, [[one] for one in last])[20:]
    return {"chunks": chunks, "singles": singles}


def _timed(org: Organization, batches: Sequence[Sequence[resolution.Asked]]) -> list[float]:
    """Seconds of each call in a transaction of its own, which is then rolled back; the commit is not in it."""
    seconds: list[float] = []
    for batch in batches:
        assert batch, "there are too few records for the mix"
        with org_scope(org), transaction.atomic():
            began = time.perf_counter()
            resolution.resolve_identities(org=org, asked=batch, actor=Actor.system("bench"), at=resolving.AT)
            seconds.append(time.perf_counter() - began)
            transaction.set_rollback(True)
    return seconds


def _mix(records: Sequence[Record]) -> Iterator[resolution.Asked]:
    kinds: dict[str, Iterator[Record]] = {
        "known": (one for one in records if one.kind is Kind.KNOWN and not MISSPELT & {*one.corruptions}),
        "new_person": (one for one in records if one.kind is Kind.NEW_COLLEAGUE),
        "misspelt": (one for one in records if one.company_name and MISSPELT & {*one.corruptions}),
        "unknown": (one for one in records if one.kind in {Kind.NEW_COMPANY, Kind.LOOKALIKE}),
    }
    while True:
        for kind, count in MIX:
            for _ in range(count):
                record = next(kinds[kind], None)
                if record is None:
                    return
                yield resolving.asked_of(record)


def _plans(given: argparse.Namespace) -> dict[str, int]:
    """Print the plan of every statement behind one signal of each kind of the mix; what they write is taken back."""
    org = _organization(given.org)
    asked = list(_mix(_block(0, records=BLOCK).records))
    shown = 0
    places = {kind: sum(count for _, count in MIX[:place]) for place, (kind, _) in enumerate(MIX)}
    for kind, place in places.items():
        with org_scope(org), transaction.atomic():
            with CaptureQueriesContext(connection) as captured:
                resolution.resolve_identities(
                    org=org, asked=[asked[place]], actor=Actor.system("bench"), at=resolving.AT
                )
            transaction.set_rollback(True)
        for query in captured:
            if "clients_" in query["sql"] or "candidates(" in query["sql"]:
                shown += _plan(org, kind, query["sql"])
    return {"plans": shown}


def _plan(org: Organization, title: str, statement: str) -> int:
    with org_scope(org), transaction.atomic(), connection.cursor() as cursor:
        try:
            with transaction.atomic():
                cursor.execute("EXPLAIN (ANALYZE, BUFFERS, SETTINGS) " + statement.replace("%", "%%"), [])
                lines = [row[0] for row in cursor.fetchall()]
        except Exception as error:
            lines = [f"no plan: {error}"]
        transaction.set_rollback(True)
    print(f"\n-- {title}\n{' '.join(statement.split())[:1000]}", flush=True)
    print("\n".join(f"   {line}" for line in lines), flush=True)
    return 1


def _organization(org_id: int) -> Organization:
    with system_scope("bench"):
        org: Organization = Organization.objects.get(pk=org_id)
        if org.default_region != REGION:
            org.default_region = REGION
            org.save(update_fields=["default_region"])
    return org


def _analyse() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    main()
