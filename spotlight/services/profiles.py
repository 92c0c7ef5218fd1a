"""Use cases of profiles; each writes the profile whole, under the lock of its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from flowledger.errors import Conflict, NotFound
from flowledger.outbox.recording import record_event
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight import events
from spotlight.models import Spotlight, SpotlightField, SpotlightVersion, VersionOrigin
from spotlight.services.criteria import checked_weight, present_wishes, read_wishes, store_wishes
from spotlight.services.naming import checked_domain, refuse, require_known
from spotlight.services.versions import LONGEST_NOTE, keep_version, save_change, save_profile

SPOTLIGHT_FIELDS = frozenset({"name", "domain", "description", "active"})
MOST_SPOTLIGHTS = 200
LONGEST_NAME = 120
LONGEST_DESCRIPTION = 2_000


@use_case
def create_spotlight(
    *,
    org: Organization,
    fields: Mapping[str, Any],
    criteria: Sequence[Mapping[str, Any]] = (),
    note: str = "",
    actor: Actor,
    at: datetime,
) -> Spotlight:
    """Make a profile with its criteria, as its first version.

    A criterion names its field by `field_id` or `field_name`; with `field_type` a field that the domain does not have
    yet is made. Raises PermissionRefused, InvalidInput for a criterion that does not fit its field, Conflict on a taken
    name.
    """
    authorize(actor, "edit_spotlight")
    _require_room(org)
    spotlight = Spotlight(org=org)
    _write(spotlight, fields)
    spotlight.note_creation(actor=actor, at=at)
    save_profile(spotlight)
    store_wishes(spotlight, read_wishes(spotlight, criteria), at=at)
    keep_version(spotlight, origin=VersionOrigin.EDITED, note=note, actor=actor, at=at)
    return spotlight


@use_case
def update_spotlight(
    *,
    org: Organization,
    spotlight_id: int,
    fields: Mapping[str, Any],
    criteria: Sequence[Mapping[str, Any]] | None = None,
    note: str = "",
    actor: Actor,
    at: datetime,
) -> Spotlight:
    """Change a profile; criteria, when given, take the place of all there are. What changes nothing is no edit.

    A given criterion with a `criterion_id`, else one that asks the same of the same field, stays the same one, so that
    history can compare it. A change that can move scores makes the next version. Raises NotFound, PermissionRefused,
    and as `create_spotlight`; InvalidInput for another domain without criteria of that domain.
    """
    spotlight: Spotlight = Spotlight.objects.for_org(org).locked().fetch(spotlight_id)
    authorize(actor, "edit_spotlight")
    before = {name: getattr(spotlight, name) for name in SPOTLIGHT_FIELDS}
    _write(spotlight, fields)
    if criteria is None and spotlight.domain != before["domain"] and spotlight.criteria.exists():
        refuse("domain", "The criteria look at fields of the old domain; give the criteria together with the new one.")
    changed = sorted(name for name in SPOTLIGHT_FIELDS if getattr(spotlight, name) != before[name])
    if criteria is not None:
        store_wishes(spotlight, read_wishes(spotlight, criteria), at=at)
    save_change(spotlight, changed, origin=VersionOrigin.EDITED, note=note, actor=actor, at=at)
    return spotlight


@use_case
def delete_spotlight(*, org: Organization, spotlight_id: int, actor: Actor, at: datetime) -> None:
    """Delete a profile with its versions and scores. Raises NotFound, PermissionRefused.

    The fields of its domain stay.
    """
    spotlight: Spotlight = Spotlight.objects.for_org(org).select_for_update(of=("self",)).fetch(spotlight_id)
    authorize(actor, "edit_spotlight")
    gone = events.SpotlightDeleted(spotlight_id=spotlight.pk, name=spotlight.name)
    spotlight.delete()
    record_event(org=org, event=gone, actor=actor, at=at)


@use_case
def clone_spotlight(*, org: Organization, spotlight_id: int, name: str = "", actor: Actor, at: datetime) -> Spotlight:
    """Copy a profile whole, under the given name or "… (copy)"; the copy is switched off, to be changed first.

    Raises NotFound, PermissionRefused, Conflict on a taken name.
    """
    source: Spotlight = Spotlight.objects.for_org(org).locked().fetch(spotlight_id)
    authorize(actor, "edit_spotlight")
    _require_room(org)
    copy = Spotlight(org=org, domain=source.domain, description=source.description, active=False)
    _write(copy, {"name": name.strip() or _free_name(org, source.name)})
    copy.note_creation(actor=actor, at=at, cloned_from=source.pk)
    save_profile(copy)
    store_wishes(copy, [wish.as_new() for wish in present_wishes(source)], at=at)
    origin = f"Copy of {source.name}, version {source.version}"
    keep_version(copy, origin=VersionOrigin.CLONED, note=origin[:LONGEST_NOTE], actor=actor, at=at)
    return copy


@use_case
def revert_spotlight(
    *, org: Organization, spotlight_id: int, version: int, note: str = "", actor: Actor, at: datetime
) -> Spotlight:
    """Go back to the criteria of an earlier version, as a new version; name and description stay as they are.

    A field that is gone since is made anew. Raises NotFound for a profile or version that does not exist,
    PermissionRefused, Conflict when the criteria are those already, InvalidInput for a field that has changed its type.
    """
    spotlight: Spotlight = Spotlight.objects.for_org(org).locked().fetch(spotlight_id)
    kept = SpotlightVersion.objects.for_org(org).filter(spotlight=spotlight, version=version).first()
    if kept is None:
        raise NotFound(f"The profile '{spotlight.name}' has no version {version}.")
    authorize(actor, "edit_spotlight")
    changed = ["domain"] if spotlight.domain != kept.definition["domain"] else []
    spotlight.domain = kept.definition["domain"]
    store_wishes(spotlight, read_wishes(spotlight, _as_given(spotlight, kept.definition["criteria"])), at=at)
    said = note or f"Back to version {version}"
    if not save_change(spotlight, changed, origin=VersionOrigin.REVERTED, note=said, actor=actor, at=at):
        raise Conflict(f"The profile '{spotlight.name}' asks just what it asked in version {version}.")
    return spotlight


@use_case
def apply_weights(
    *,
    org: Organization,
    spotlight_id: int,
    weights: Mapping[int, Decimal | float],
    origin: VersionOrigin,
    note: str = "",
    actor: Actor,
    at: datetime,
) -> Spotlight:
    """Give criteria, by their ids, new weights in one version; those that are not named keep theirs.

    Raises NotFound, PermissionRefused, InvalidInput for a criterion that the profile does not have and for a weight out
    of range. Weights that change nothing make no version.
    """
    spotlight: Spotlight = Spotlight.objects.for_org(org).locked().fetch(spotlight_id)
    authorize(actor, "edit_spotlight")
    wishes = present_wishes(spotlight)
    unknown = sorted(set(weights) - {wish.criterion_id for wish in wishes})
    if unknown:
        refuse("weights", f"The profile has no criterion {', '.join(map(str, unknown))}.")
    for wish in wishes:
        if (weight := weights.get(wish.criterion_id or 0)) is not None:
            wish.weight = checked_weight(weight, "weights")
    store_wishes(spotlight, wishes, at=at)
    save_change(spotlight, [], origin=origin, note=note, actor=actor, at=at)
    return spotlight


def _as_given(spotlight: Spotlight, kept: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Kept criteria as one would write them today: ids that are gone left out, fields that are gone described."""
    ids = set(spotlight.criteria.values_list("pk", flat=True))
    fields = SpotlightField.objects.for_org(spotlight.org_id).filter(domain=spotlight.domain)
    names = set(fields.values_list("field_name", flat=True))
    given = []
    for each in kept:
        known = {"label", "enum_values", "aliases"} if each["field_name"] in names else set()
        left_out = known if each["criterion_id"] in ids else known | {"criterion_id"}
        given.append({name: value for name, value in each.items() if name not in left_out})
    return given


def _write(spotlight: Spotlight, fields: Mapping[str, Any]) -> None:
    require_known(fields, SPOTLIGHT_FIELDS)
    for name, value in fields.items():
        setattr(spotlight, name, value.strip() if isinstance(value, str) else value)
    if not spotlight.name or not spotlight.name.isprintable():
        refuse("name", "A profile needs a name, by which people know it.")
    if len(spotlight.name) > LONGEST_NAME:
        refuse("name", f"A name has at most {LONGEST_NAME} characters.")
    if len(spotlight.description) > LONGEST_DESCRIPTION:
        refuse("description", f"A description has at most {LONGEST_DESCRIPTION:,} characters.")
    if not isinstance(spotlight.active, bool):
        refuse("active", "Say true or false.")
    spotlight.domain = checked_domain(spotlight.domain)


def _require_room(org: Organization) -> None:
    if Spotlight.objects.for_org(org).count() >= MOST_SPOTLIGHTS:
        raise Conflict(f"There are {MOST_SPOTLIGHTS} profiles already; delete one that is not used any more.")


def _free_name(org: Organization, name: str) -> str:
    """`Banks (copy)`, or with the next free number."""
    taken = set(Spotlight.objects.for_org(org).values_list("name", flat=True))
    endings = (" (copy)", *(f" (copy {number})" for number in range(2, MOST_SPOTLIGHTS + 2)))
    return next(free for end in endings if (free := name[: LONGEST_NAME - len(end)] + end) not in taken)
