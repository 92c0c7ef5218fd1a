"""Versions of profiles: one is kept whenever what the evaluation reads has changed."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from flowledger.errors import Conflict
from flowledger.tenancy.actors import Actor
from spotlight.models import Spotlight, SpotlightVersion, VersionOrigin
from spotlight.services.definitions import definition_of
from spotlight.services.naming import refuse

LONGEST_NOTE = 500


def keep_version(spotlight: Spotlight, *, origin: VersionOrigin, note: str, actor: Actor, at: datetime) -> None:
    """Keep the profile as it is stored now under its present version number. Raises InvalidInput for a long note."""
    if len(note) > LONGEST_NOTE:
        refuse("note", f"A note has at most {LONGEST_NOTE} characters.")
    SpotlightVersion(
        org_id=spotlight.org_id,
        spotlight=spotlight,
        version=spotlight.version,
        definition=definition_of(spotlight),
        origin=origin,
        note=note.strip(),
        made_at=at,
        made_by_id=actor.user_id,
        made_by_label=actor.label[:200],
    ).save()


def save_change(
    spotlight: Spotlight, changed: list[str], *, origin: VersionOrigin, note: str, actor: Actor, at: datetime
) -> bool:
    """Save a locked profile and record what was changed, the next version with it if its criteria read otherwise now.

    `changed` names the columns that were changed on the object. Answers whether there was anything to save. Raises
    InvalidInput for a long note, Conflict on a taken name.
    """
    kept = SpotlightVersion.objects.for_org(spotlight.org_id).get(spotlight=spotlight, version=spotlight.version)
    is_renewed = kept.definition["criteria"] != definition_of(spotlight)["criteria"]
    if not changed and not is_renewed:
        return False
    if is_renewed:
        spotlight.version += 1
        keep_version(spotlight, origin=origin, note=note, actor=actor, at=at)
    spotlight.note_change(
        changed=[*changed, "criteria"] if is_renewed else changed,
        moves_scores="active" in changed or (is_renewed and spotlight.active),
        actor=actor,
        at=at,
    )
    save_profile(spotlight)
    return True


def save_profile(spotlight: Spotlight) -> None:
    """Store the profile's row with its events. Raises Conflict on a taken name."""
    try:
        with transaction.atomic():
            spotlight.save()
    except IntegrityError as error:
        if "spotlight_name" not in str(error):
            raise
        raise Conflict(f"There is a profile named '{spotlight.name}' already; choose another name.") from error
