"""Undoing a merge: both stand on their own again, except for what was changed since, which is listed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import F

from flowledger.clients.events import ClientMergeUndone, ContactMergeUndone
from flowledger.clients.identity import Key
from flowledger.clients.merge_graph import Reference
from flowledger.clients.models import (
    ConflictStatus,
    Contact,
    IdentityConflict,
    MergedKind,
    MergedRow,
    MergeRecord,
)
from flowledger.clients.services.clients import domain_keys, name_keys
from flowledger.clients.services.contacts import email_keys, phone_keys
from flowledger.clients.services.keys import restore_keys
from flowledger.clients.services.merge_fields import MERGE_FIELDS, as_json, from_json
from flowledger.clients.services.merging import MODELS, SETTLED, lock_two
from flowledger.clients.services.people import ERASED_STATE
from flowledger.clients.sql import merging as sql
from flowledger.errors import Conflict
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case

# What a report lists one by one; the rest is counted.
MOST_LISTED = 1000
GONE = "Deleted since."
KEY_LABEL = "clients.identitykey"


@dataclass(frozen=True)
class KeptChange:
    """Something that was changed after the merge and that its undo left as it is.

    Of a row: `field` is its reference, `reason` says whether it was given back ("changed since, given back to …") or
    stays. Of the survivor: `value` is what it has, `before` what it had before the merge.
    """

    model: str
    id: int
    field: str
    reason: str
    value: Any = None
    before: Any = None


@dataclass
class UndoReport:
    """What an undo gave back, by reference, and what had been changed since."""

    merge: MergeRecord
    kept: list[KeptChange] = field(default_factory=list)
    kept_count: int = 0
    returned: dict[str, int] = field(default_factory=dict)

    def keep(self, changes: Iterable[KeptChange], *, count: int | None = None) -> None:
        """Note changes; `count` when there are more than are given."""
        given = list(changes)
        self.kept += given[: MOST_LISTED - len(self.kept)]
        self.kept_count += len(given) if count is None else count

    def as_dict(self) -> dict[str, Any]:
        """As it is kept with the merge and shown by the API."""
        return {
            "returned": self.returned,
            "kept_count": self.kept_count,
            "kept": [asdict(change) for change in self.kept],
        }


@use_case
def undo_merge(*, org: Organization, merge_id: int, kind: str | None = None, actor: Actor, at: datetime) -> UndoReport:
    """Take a merge back: the tombstone stands again, and what the merge moved names it again.

    What nobody touched since is as it was, versions and times included. A row that was changed since keeps its change
    and still names the loser again, unless it was made to name somebody else; a field of the survivor that was changed
    since stays; what came to the survivor since stays with it. All that is listed in the report, which is kept with
    the merge. `kind` (contact or client) refuses merges of the other kind. Raises NotFound, PermissionRefused,
    Conflict when it was undone already or the person was erased, while a later merge with this survivor stands, and
    when the loser could not stand on its own because its only address is another contact's now.
    """
    authorize(actor, "merge")
    records = MergeRecord.objects.for_org(org)
    record: MergeRecord = (records.filter(entity_type=kind) if kind else records).locked().fetch(merge_id)
    merged = MergedKind(record.entity_type)
    model = MODELS[merged]
    if record.undone_at is not None:
        raise Conflict("This merge was undone already.", undone_at=record.undone_at.isoformat())
    if record.survivor_before == ERASED_STATE:
        raise Conflict("This merge cannot be undone any more: the person was erased.")
    rows = lock_two(model, org=org, ids=(record.survivor_id, record.loser_id))
    found = {row.pk: row for row in rows.filter(pk__in=(record.survivor_id, record.loser_id)).order_by("pk")}
    _require_latest(org, record)
    survivor, loser = found[record.survivor_id], found[record.loser_id]
    report = UndoReport(merge=record)
    _restore_survivor(survivor, record, report, at=at)
    _restore_loser(loser, record, report)
    # Backwards: a row that was moved twice has the version of the first move last.
    for reference in reversed(_moved(org, record)):
        _give_back(org, record, reference, report, at=at)
    _reopen_pairs(org, record)
    if any(change.model == KEY_LABEL and change.reason == GONE for change in report.kept):
        restore_keys(loser, _keys_of(loser), org=org, at=at)
    record.undone_at, record.undone_by_id = at, actor.user_id
    record.undo_report = report.as_dict()
    fact = ContactMergeUndone if merged is MergedKind.CONTACT else ClientMergeUndone
    record.record(
        fact(**{f"{merged}_id": survivor.pk, f"merged_{merged}_id": loser.pk, "merge_id": record.pk}),
        actor=actor,
        at=at,
    )
    record.save(update_fields=["undone_at", "undone_by", "undo_report"])
    return report


def _require_latest(org: Organization, record: MergeRecord) -> None:
    """Merges of one survivor are undone the latest first: each rests on the ones before it."""
    same_kind = MergeRecord.objects.for_org(org).standing().filter(entity_type=record.entity_type, pk__gt=record.pk)
    later = (same_kind.filter(survivor_id=record.survivor_id) | same_kind.filter(loser_id=record.survivor_id)).order_by(
        "-pk"
    )
    blocking = later.first()
    if blocking is not None:
        raise Conflict(
            f"A later merge stands in the way: {record.entity_type} {blocking.loser_id} was merged into "
            f"{blocking.survivor_id} after this one. Undo merge {blocking.pk} first.",
            merge_id=blocking.pk,
        )


def _restore_survivor(survivor: Any, record: MergeRecord, report: UndoReport, *, at: datetime) -> None:
    """What the merge set goes back; what somebody set since stays and is listed."""
    before, after = record.survivor_before, record.survivor_after
    columns = [survivor._meta.get_field(name).attname for name in MERGE_FIELDS[type(survivor)]]
    back: dict[str, Any] = {}
    for column in columns:
        value = as_json(getattr(survivor, column))
        if value != after[column]:
            report.keep([_changed_field(survivor, column, value=value, before=before[column])])
        elif before[column] != after[column]:
            back[column] = from_json(survivor, column, before[column])
    if (
        isinstance(survivor, Contact)
        and "email" in back
        and _is_taken(survivor, back["email"], besides=record.loser_id)
    ):
        del back["email"]
        report.keep([_taken(survivor, before["email"], stays=survivor.email)])
    if not _is_somebody(survivor, back):
        raise Conflict(
            f"Without what it took from the {record.entity_type} {record.loser_id}, {record.entity_type} "
            f"{survivor.pk} would have neither name nor address nor phone; give it one of them first."
        )
    back |= _version_back(survivor, before, is_untouched=_is_as(survivor, after), at=at)
    type(survivor).objects.for_org(survivor.org_id).filter(pk=survivor.pk).update(**back)


def _restore_loser(loser: Any, record: MergeRecord, report: UndoReport) -> None:
    """The tombstone stands again. Nobody can have written it, but a merge of its client may have moved it."""
    back: dict[str, Any] = {"canonical": None}
    if isinstance(loser, Contact) and loser.email and _is_taken(loser, loser.email, besides=record.survivor_id):
        if not _is_somebody(loser, {"email": ""}):
            raise Conflict(
                f"The contact {loser.pk} has nothing but the address {loser.email}, which is another contact's now; "
                "change that contact first, or merge the two."
            )
        back["email"] = ""
        report.keep([_taken(loser, loser.email, stays="")])
    before = record.loser_before
    is_untouched = "email" not in back and loser.row_version == before["row_version"] + 1
    back |= _version_back(loser, before, is_untouched=is_untouched, at=loser.updated_at)
    type(loser).objects.for_org(loser.org_id).filter(pk=loser.pk).update(**back)
    loser.refresh_from_db()


def _version_back(row: Any, before: dict[str, Any], *, is_untouched: bool, at: datetime) -> dict[str, Any]:
    if not is_untouched:
        return {"row_version": F("row_version") + 1, "updated_at": at}
    return {"row_version": before["row_version"], "updated_at": from_json(row, "updated_at", before["updated_at"])}


def _is_as(row: Any, state: dict[str, Any]) -> bool:
    return bool(row.row_version == state["row_version"] and as_json(row.updated_at) == state["updated_at"])


def _is_taken(contact: Contact, email: str, *, besides: int) -> bool:
    """Whether a third contact has the address by now."""
    if not email:
        return False
    others = Contact.objects.for_org(contact.org_id).current().filter(email=email)
    return bool(others.exclude(pk__in=(contact.pk, besides)).exists())


def _is_somebody(row: Any, back: dict[str, Any]) -> bool:
    names = ("name", "email", "phone") if isinstance(row, Contact) else ("name",)
    return any(back.get(name, getattr(row, name)) for name in names)


def _changed_field(row: Any, column: str, *, value: Any, before: Any) -> KeptChange:
    return KeptChange(
        model=row._meta.label_lower,
        id=row.pk,
        field=column,
        reason="Changed since the merge; it stays as it is.",
        value=value,
        before=before,
    )


def _taken(contact: Contact, address: str, *, stays: str) -> KeptChange:
    return KeptChange(
        model=contact._meta.label_lower,
        id=contact.pk,
        field="email",
        reason="The address is another contact's by now.",
        value=stays,
        before=address,
    )


def _moved(org: Organization, record: MergeRecord) -> list[Reference]:
    """The foreign keys by which the merge moved anything, in the order in which it moved them."""
    trail = MergedRow.objects.for_org(org).filter(merge=record).exclude(model=SETTLED[0])
    names = trail.order_by("model", "field").values_list("model", "field").distinct()
    references = []
    for label, field_name in names:
        model = apps.get_model(label)
        references.append(Reference(model, model._meta.get_field(field_name)))
    return references


def _give_back(
    org: Organization, record: MergeRecord, reference: Reference, report: UndoReport, *, at: datetime
) -> None:
    sides = {"org_id": org.pk, "merge_id": record.pk, "survivor": record.survivor_id}
    strayed = sql.elsewhere(reference, **sides, most=MOST_LISTED)
    report.keep(
        (
            _of_row(reference, row.row_id, GONE if row.is_gone else "Names another since; it stays.", value=row.names)
            for row in strayed
        ),
        count=strayed[0].total if strayed else 0,
    )
    left: list[int] = []
    if reference.is_unique:
        twins = reference.colliding(org, loser=record.survivor_id, survivor=record.loser_id)
        trail = MergedRow.objects.for_org(org).filter(
            merge=record, model=reference.model_label, field=reference.field_name
        )
        left = list(twins.filter(pk__in=trail.values("row_id")).values_list("pk", flat=True))
        report.keep(_of_row(reference, pk, "Has a twin there by now; it stays.") for pk in left)
    back = sql.move_back(reference, **sides, loser=record.loser_id, left=left, most=MOST_LISTED, at=at)
    reason = f"Changed since; it keeps the change and belongs to {record.entity_type} {record.loser_id} again."
    report.keep((_of_row(reference, pk, reason) for pk in back.changed_ids), count=back.changed)
    if back.returned:
        report.returned[reference.label] = back.returned


def _of_row(reference: Reference, pk: int, reason: str, value: Any = None) -> KeptChange:
    return KeptChange(model=reference.model_label, id=pk, field=reference.field.attname, reason=reason, value=value)


def _keys_of(row: Any) -> list[Key]:
    if isinstance(row, Contact):
        return [*email_keys(row), *phone_keys(row)]
    return [*domain_keys(row), *name_keys(row)]


def _reopen_pairs(org: Organization, record: MergeRecord) -> None:
    """Pairs that the merge settled are to be decided again."""
    trail = MergedRow.objects.for_org(org).filter(merge=record, model=SETTLED[0]).order_by("row_id")
    for row in trail:
        pairs = IdentityConflict.objects.for_org(org).filter(pk=row.row_id, status=ConflictStatus.MERGED)
        settled = {"status": ConflictStatus.OPEN, "resolved_at": None, "resolved_by": None, "note": ""}
        pairs.filter(row_version=row.version_after).update(
            **settled, row_version=row.version_before, updated_at=row.updated_before
        )
        pairs.update(**settled)
