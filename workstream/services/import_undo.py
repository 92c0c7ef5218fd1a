"""Taking a CSV import back: what it created goes, what it changed returns, unless somebody has worked with it since.

Bounded and resumable: a chunk of records is one transaction under the import's lock. Signals go first, then the keys
that their senders brought, then contacts, then clients, so that nothing is in the way of what it was made with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Count, Q

from flowledger.clients import services as clients
from flowledger.clients.models import Client, Contact, IdentityConflict, IdentityKey
from flowledger.clients.services import ClientRow, ContactRow
from flowledger.clients.services.deletion import delete_what_goes_with, goes_with, lock_to_delete, references_to
from flowledger.clients.services.written import WrittenRow, from_json, label_of, state_of
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from workstream.machines import ImportStatus, SignalDisposition
from workstream.models import ImportChange, ImportRun, Signal, SignalDelivery
from workstream.services.import_rows import CHUNK, Progress, sender_of
from workstream.sql import imports as sql

# In the order in which they are undone.
UNDONE_MODELS: Sequence[type[models.Model]] = (Signal, IdentityKey, Contact, Client)
# What is nothing but part of a record, or of how it came to be known. A model of an app above says so by itself:
# `goes_with = frozenset({"workstream.signal"})`.
_PARTS: Mapping[str, frozenset[str]] = {
    "workstream.signal": frozenset(
        {
            *("workstream.signalpayload", "workstream.signaldelivery", "workstream.slaclock", "workstream.slabreach"),
            *("workstream.intakereject", "workstream.formsubmission"),
        }
    ),
    "clients.contact": frozenset({"clients.identitykey", "clients.identityconflict"}),
    "clients.client": frozenset({"clients.identitykey", "clients.identityconflict"}),
}


def undo_chunk(*, org: Organization, run_id: int, at: datetime) -> Progress:
    """Take back the next records of an import that is being undone, unless another worker does.

    Raises Unavailable and OperationalError when others are in the way; the records are still there for the next try.
    """
    with org_scope(org), transaction.atomic():
        runs = ImportRun.objects.for_org(org).filter(pk=run_id, status=ImportStatus.UNDOING)
        run: ImportRun | None = runs.select_for_update(skip_locked=True, no_key=True).order_by("pk").first()
        if run is None:
            return Progress.IDLE
        actor = Actor.system(f"undo of import {run.pk}", origin=Origin.IMPORT)
        progress = Progress.MORE
        for model in UNDONE_MODELS:
            changes = _next(run, label_of(model))
            if changes:
                _undo(run, model, changes, actor=actor, at=at)
                break
        else:
            run.finish_undo(actor=actor, at=at)
            progress = Progress.DONE
        run.failure = ""
        run.save()
    return progress


def _next(run: ImportRun, model: str) -> dict[int, list[ImportChange]]:
    """The changes of the next records of a model, oldest first."""
    waiting = ImportChange.objects.for_org(run.org_id).filter(run=run, model=model, undone_at__isnull=True)
    ids = list(waiting.order_by("item_id").values_list("item_id", flat=True).distinct()[:CHUNK])
    found: dict[int, list[ImportChange]] = {pk: [] for pk in ids}
    for change in waiting.filter(item_id__in=ids).order_by("item_id", "pk"):
        found[change.item_id].append(change)
    return found


def _undo(
    run: ImportRun,
    model: type[models.Model],
    changes: Mapping[int, list[ImportChange]],
    *,
    actor: Actor,
    at: datetime,
) -> None:
    reasons = dict.fromkeys(changes, "")
    if model is Signal:
        reasons |= _undo_signals(run, list(changes))
    elif model is IdentityKey:
        _forget_keys(run, changes)
    else:
        created = {pk: each for pk, each in changes.items() if each[0].is_creation}
        updated = {pk: each for pk, each in changes.items() if not each[0].is_creation}
        reasons |= _undo_creations(run, model, created)
        reasons |= _undo_updates(run, model, updated, actor=actor, at=at)
    sql.settle(org_id=run.org_id, run_id=run.pk, model=label_of(model), reasons=reasons, at=at)
    if model is not IdentityKey:
        kept = sum(bool(reason) for reason in reasons.values())
        run.kept_count += kept
        run.undone_count += len(reasons) - kept


# --- signals and keys ---


def _undo_signals(run: ImportRun, ids: Sequence[int]) -> dict[int, str]:
    """Delete those that nobody has worked with; the others with the reason."""
    rows = Signal.objects.for_org(run.org_id).filter(pk__in=ids).order_by("pk")
    signals: list[Signal] = list(rows.select_for_update(of=("self",)))
    reasons: dict[int, str] = {}
    for signal in signals:
        if signal.disposition != SignalDisposition.NEW:
            reasons[signal.pk] = f"It is {signal.get_disposition_display().lower()} since."
        elif signal.owner_id is not None:
            reasons[signal.pk] = "Somebody has taken it over since."
        elif signal.first_touch_at is not None:
            reasons[signal.pk] = "Somebody has worked on it since."
    again = SignalDelivery.objects.for_org(run.org_id).filter(signal__in=ids, is_repeat=True)
    for pk in again.exclude(sender=sender_of(run)).values_list("signal_id", flat=True):
        reasons.setdefault(pk, "It was delivered by others, too.")
    for pk, used in _uses(run, Signal, ids).items():
        reasons.setdefault(pk, f"It is named by {used}.")
    going = [signal.pk for signal in signals if signal.pk not in reasons]
    delete_what_goes_with(run.org_id, Signal, going)
    sql.delete_signals(org_id=run.org_id, signal_ids=going)
    return reasons


def _forget_keys(run: ImportRun, changes: Mapping[int, list[ImportChange]]) -> None:
    """Keys that the import was the only one to see; one that was seen since says something by itself."""
    versions = {pk: each[-1].version_after for pk, each in changes.items()}
    rows = IdentityKey.objects.for_org(run.org_id).filter(pk__in=versions)
    found = rows.order_by("key_type", "key_value").select_for_update().values_list("pk", "row_version")
    rows.filter(pk__in=[pk for pk, version in found if version == versions[pk]]).delete()


# --- contacts and clients ---


def _undo_creations(
    run: ImportRun, model: type[models.Model], changes: Mapping[int, list[ImportChange]]
) -> dict[int, str]:
    """Delete records that are as the import left them and in use nowhere; the others with the reason."""
    if not changes:
        return {}
    ids, is_contact = sorted(changes), model is Contact
    lock_to_delete(org=run.org, clients=[] if is_contact else ids, contacts=ids if is_contact else [])
    rows: Any = model._default_manager.filter(org=run.org_id, pk__in=ids)
    reasons: dict[int, str] = {}
    standing = set()
    for row in rows.order_by("pk"):
        standing.add(row.pk)
        last = changes[row.pk][-1]
        if row.canonical_id is not None:
            reasons[row.pk] = f"It was merged into {row.canonical_id} since."
        elif row.row_version != last.version_after and (names := _changed_since(row, changes[row.pk])):
            reasons[row.pk] = f"It was changed since: {', '.join(names)}."
    for pk, used in _uses(run, model, ids).items():
        reasons.setdefault(pk, f"It is named by {used}.")
    going = sorted(standing - set(reasons))
    if going:
        # By hand and in order: Django would defer the constraints of nullable references, ours cannot be.
        name = "contact" if is_contact else "client"
        IdentityKey.objects.for_org(run.org_id).filter(**{f"{name}__in": going}).delete()
        pairs = Q(**{f"{name}__in": going}) | Q(**{f"other_{name}__in": going})
        IdentityConflict.objects.for_org(run.org_id).filter(pairs).delete()
        delete_what_goes_with(run.org_id, model, going)
        rows.filter(pk__in=going).delete()
    return reasons


def _changed_since(row: Any, changes: Sequence[ImportChange]) -> list[str]:
    expected: dict[str, Any] = {}
    for change in changes:
        expected |= change.after
    now = state_of(row)
    return [name.removesuffix("_id").replace("_", " ") for name, value in expected.items() if now[name] != value]


def _undo_updates(
    run: ImportRun,
    model: type[models.Model],
    changes: Mapping[int, list[ImportChange]],
    *,
    actor: Actor,
    at: datetime,
) -> dict[int, str]:
    """Give fields back what they were, but for those that were changed since."""
    if not changes:
        return {}
    reasons: dict[int, list[str]] = {pk: [] for pk in changes}
    restores: dict[int, dict[str, Any]] = {}
    rows: Any = model._default_manager.filter(org=run.org_id, pk__in=sorted(changes)).order_by("pk")
    for row in rows:
        if row.canonical_id is not None:
            reasons[row.pk].append(f"It was merged into {row.canonical_id} since.")
            continue
        restore, changed = _restored(row, changes[row.pk])
        if changed:
            reasons[row.pk].append(f"Changed since: {', '.join(changed)}.")
        if restore:
            restores[row.pk] = restore
    for _attempt in range(2):
        refused = _write_back(run, model, restores, actor=actor, at=at)
        for pk, written in refused.items():
            reasons[pk] += [sentence for sentences in written.errors.values() for sentence in sentences]
            # What can be given back is, the rest stays and is listed.
            restores[pk] = {
                name: value
                for name, value in restores[pk].items()
                if name not in written.errors and "" not in written.errors
            }
        restores = {pk: restores[pk] for pk in refused if restores[pk]}
        if not restores:
            break
    return {pk: " ".join(sentences) for pk, sentences in reasons.items() if sentences}


def _restored(row: Any, changes: Sequence[ImportChange]) -> tuple[dict[str, Any], list[str]]:
    """The values to give back, and the names of fields that are not as the import left them."""
    now, changed = state_of(row), []
    before = dict(now)
    for change in reversed(changes):
        for name, left in change.after.items():
            if name in changed:
                continue
            if before[name] == left:
                before[name] = change.before[name]
            else:
                changed.append(name)
    restore = {name: value for name, value in before.items() if value != now[name] and name not in changed}
    return restore, [name.removesuffix("_id").replace("_", " ") for name in changed]


def _write_back(
    run: ImportRun,
    model: type[models.Model],
    restores: Mapping[int, Mapping[str, Any]],
    *,
    actor: Actor,
    at: datetime,
) -> dict[int, WrittenRow]:
    """Store the former values, keys and all; answers the rows that were refused."""
    if not restores:
        return {}
    may: dict[str, Any] = {"may_create": False, "may_update": True, "actor": actor, "at": at}
    values = {pk: from_json(model, restore) for pk, restore in restores.items()}
    if model is Contact:
        contact_rows = [ContactRow(each, pk) for pk, each in values.items()]
        written = clients.write_contacts(org=run.org, rows=contact_rows, **may)
    else:
        written = clients.write_clients(org=run.org, rows=[ClientRow(each, pk) for pk, each in values.items()], **may)
    return {pk: each for pk, each in zip(values, written, strict=True) if each.outcome == "rejected"}


# --- what names a record ---


def _uses(run: ImportRun, model: type[models.Model], ids: Sequence[int]) -> dict[int, str]:
    """In words and by record: how many rows of which kinds refer to it, parts of its own left out."""
    counts: dict[int, list[str]] = {}
    for relation in references_to(model):
        other: Any = relation.related_model
        if label_of(other) in _PARTS[label_of(model)] or goes_with(other, model):
            continue
        rows = _rows_naming(run, relation, ids).order_by()
        for pk, number in rows.values_list(relation.field.attname).annotate(number=Count("pk")):
            kind = other._meta.verbose_name if number == 1 else other._meta.verbose_name_plural
            counts.setdefault(pk, []).append(f"{number:,} {kind}")
    return {pk: ", ".join(listed) for pk, listed in counts.items()}


def _rows_naming(run: ImportRun, relation: Any, ids: Sequence[int]) -> Any:
    rows = relation.related_model._default_manager
    return rows.filter(org=run.org_id, **{f"{relation.field.attname}__in": ids})
