"""How well people and companies are recognised: precision, recall, F1, and the confusion by corruption.

python -m flowledger.embedded exec -- .venv/bin/python -m tests.bench.identity.quality [--seed training|held-out|NUMBER]
    [--contacts 10000] [--records 10000] [--wrong 20 [--of CORRUPTION|KIND] [--side contact|client]]

The servers are thrown away afterwards. Tune on the seed `training`; `held-out` is for the figures alone. `linked` is
what signals were linked to; `proposed` adds the pairs that wait in the review queue. `--wrong` prints wrong answers
with the record, the base's row and the stored reasons.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict
from typing import Any

import django

from tests.bench.identity import scoring
from tests.bench.identity.labelled import SEEDS, Labelled, make


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.identity.quality", description=__doc__)
    parser.add_argument("--seed", default="training")
    parser.add_argument("--contacts", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--wrong", type=int, default=0)
    parser.add_argument("--of", default="")
    parser.add_argument("--side", choices=["contact", "client"], default="contact")
    parser.add_argument(
        "--answers", choices=["linked", "proposed"], default="linked", help="which of them --wrong shows"
    )
    given = parser.parse_args()
    seed = SEEDS[given.seed] if given.seed in SEEDS else int(given.seed)
    labelled = make(seed, contacts=given.contacts, records=given.records)

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowledger.settings")
    os.environ["OUTBOX_WAKE"] = "false"
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    django.setup()
    from django.core.management import call_command

    from tests.bench.identity import resolving

    call_command("migrate", verbosity=0)
    loaded = resolving.load(labelled, resolving.new_organization("Quality"))
    began, busy = time.perf_counter(), time.process_time()
    resolved = resolving.resolve_records(loaded, labelled.records)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    found = resolving.answers_of(loaded, resolved)
    truths = {"contact": scoring.truth_of_contacts(labelled), "client": scoring.truth_of_clients(labelled)}
    for side, truth in truths.items():
        for kind in ("linked", "proposed"):
            matrix = scoring.confusion(labelled.records, truth, getattr(found, f"{kind}_{side}s"))
            print(matrix.table(f"{side}s {kind}"), end="\n\n")
    for side, truth in truths.items():
        linked = scoring.confusion(labelled.records, truth, getattr(found, f"linked_{side}s")).all
        print(f"auto-link precision of {side}s: {linked.precision:.4f} ({linked.false_positives} wrong)")
    print(f"contacts made per unknown person: {found.contacts_per_stranger:.3f}")
    print(f"clients made per unknown company: {found.clients_per_stranger:.3f}")
    print(f"{1000 * seconds / len(resolved):.2f} ms a record, {seconds:.1f} s in all, {busy:.1f} s of them in Python")
    if given.wrong:
        answers = getattr(found, f"{given.answers}_{given.side}s")
        _show_wrong(labelled, truths[given.side], answers, found.reasons, loaded, given)


def _show_wrong(
    labelled: Labelled,
    truth: scoring.Answers,
    answers: scoring.Answers,
    reasons: dict[int, dict[str, Any]],
    loaded: Any,
    given: argparse.Namespace,
) -> None:
    clients = {client.id: client for client in labelled.clients}
    contacts = {contact.id: contact for contact in labelled.contacts}
    rows: dict[int, Any] = dict(contacts if given.side == "contact" else clients)
    left = given.wrong
    for record in labelled.records:
        wanted = not given.of or given.of in {record.kind, *(record.corruptions or ("clean",))}
        if not left or not wanted or answers.get(record.id) == truth[record.id]:
            continue
        left -= 1
        print(f"\nrecord {record.id}: {record.kind}, {', '.join(record.corruptions) or 'clean'}")
        shown = {name: value for name, value in asdict(record).items() if name not in {"id", "kind", "corruptions"}}
        print(f"   in     {shown}")
        for title, one in (("true", truth[record.id]), ("answer", answers.get(record.id))):
            row = rows.get(one or 0)
            of = clients.get(getattr(row, "client", 0) or 0)
            print(f"   {title:<6} {asdict(row) if row else None}{f' at {asdict(of)}' if of else ''}")
        print(f"   why    {json.dumps(reasons[record.id], ensure_ascii=False)}")


if __name__ == "__main__":
    main()
