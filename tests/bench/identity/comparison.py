"""FlowLedger and Splink on the same records: the figures of quality and the confusion by corruption.

Both are counted by `scoring`: at most one contact and one client of the base per record. FlowLedger's answers have two
names: `linked` are its links; `proposed` adds the pairs of its review queue, which is what it brings to somebody's
notice at the thresholds it has. Splink's are the best pair of each record from a score on: at the score with the best
F1, which is chosen with the labels in hand and so favours Splink; at a probability of one half; and at the score with
the most recall among those with the precision that FlowLedger's links are to have. A client comes to Splink's answer
from its model of companies or through the contact of its model of people, whichever weighs more, since FlowLedger's
come both ways.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.figures import Figures
from tests.bench.identity import peer_input, scoring
from tests.bench.identity.labelled import Labelled
from tests.bench.identity.scoring import Answers, Confusion, Threshold
from tests.bench.outbox.machine import ROOT

WANTED_PRECISION = 0.995
Scored = dict[int, tuple[int, float]]


def ask_splink(labelled: Labelled, python: str, directory: Path) -> tuple[Scored, Scored]:
    """Splink's best contact and client of every record with their weights."""
    source, target = directory / "splink-input.json", directory / "splink-output.json"
    source.write_text(json.dumps(peer_input.columns(labelled)))
    began = time.perf_counter()
    subprocess.run([python, "-m", "tests.bench.identity.splink_peer", str(source), str(target)], cwd=ROOT, check=True)
    answer = json.loads(target.read_text())
    for side in ("contacts", "clients"):
        print(
            f"   splink, {side}: { ({name: answer[side][name] for name in answer[side] if name != 'best'}) }",
            flush=True,
        )
    print(f"   splink took {time.perf_counter() - began:.0f} s", flush=True)
    contacts, clients = (_scored(answer[side]["best"]) for side in ("contacts", "clients"))
    employers = {contact.id: contact.client for contact in labelled.contacts}
    for record, (contact, weight) in contacts.items():
        employer = employers[contact]
        if employer is not None and (record not in clients or clients[record][1] < weight):
            clients[record] = (employer, weight)
    return contacts, clients


def _scored(best: Mapping[str, Any]) -> Scored:
    return {int(record): (int(row), float(weight)) for record, (row, weight) in best.items()}


def add(
    figures: Figures, labelled: Labelled, ours: Mapping[str, Mapping[str, Any]], splink: tuple[Scored, Scored]
) -> None:
    """The figures of both sides, and their confusion printed."""
    truths = (scoring.truth_of_contacts(labelled), scoring.truth_of_clients(labelled))
    for entity, truth, scored in zip(("contact", "client"), truths, splink, strict=True):
        for at in ("linked", "proposed"):
            answers = {int(record): row for record, row in ours[f"{at}_{entity}s"].items()}
            found = scoring.confusion(labelled.records, truth, answers)
            _show(f"flowledger, {entity}s {at}", found)
            _add(figures, "flowledger", entity, at, found)
            if at == "linked":
                figures.add("auto_link_precision", found.all.precision, "share", entity=entity)
                figures.add("auto_link_recall", found.all.recall, "share", entity=entity)
        reached = scoring.thresholds(truth, scored)
        ats: dict[str, Threshold | None] = {
            "best": scoring.best(reached, lambda count: count.f1),
            "half": next((one for one in reversed(reached) if one.score >= 0), None),
            "precise": scoring.at_precision(reached, WANTED_PRECISION),
        }
        for at, threshold in ats.items():
            # A threshold that no score reaches answers nothing.
            score = threshold.score if threshold else float("inf")
            found = scoring.confusion(labelled.records, truth, _from(scored, score))
            print(f"   splink, {entity}s, {at}: match weight {score:.2f}", flush=True)
            if at == "best":
                _show(f"splink, {entity}s {at}", found)
            _add(figures, "splink", entity, at, found)


def _from(scored: Scored, score: float) -> Answers:
    return {record: row for record, (row, weight) in scored.items() if weight >= score}


def _show(title: str, found: Confusion) -> None:
    print(f"\n{found.table(title)}", flush=True)


def _add(figures: Figures, system: str, entity: str, at: str, found: Confusion) -> None:
    for name in ("f1", "precision", "recall"):
        figures.add(name, getattr(found.all, name), "share", system=system, entity=entity, at=at)
    for row, count in found.by_corruption.items() if at in {"linked", "best"} else ():
        figures.add("f1_of_corruption", count.f1, "share", system=system, entity=entity, at=at, corruption=row)
