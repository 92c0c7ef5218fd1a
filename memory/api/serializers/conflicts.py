"""Conflicts of atoms: both sides, and what was decided."""

from __future__ import annotations

from rest_framework import serializers

from flowledger.api.serializers import Body, OrgSerializer
from memory.api.serializers.atoms import AtomSerializer
from memory.models import AtomConflict
from memory.services.conflicts import KEPT, MOST_NOTE


class AtomConflictSerializer(OrgSerializer):
    """Two atoms of one subject that contradict each other."""

    older = AtomSerializer(read_only=True)
    newer = AtomSerializer(read_only=True)

    class Meta:
        model = AtomConflict
        resource = "atom_conflict"
        fields = (
            *("status", "slot", "kept", "note", "found_at", "resolved_at", "resolved_by_user_id"),
            *("older_id", "newer_id", "older", "newer"),
        )
        read_only_fields = fields


class ResolutionBody(Body):
    """Which of the two holds, and why."""

    kept = serializers.ChoiceField(choices=KEPT)
    note = serializers.CharField(max_length=MOST_NOTE, required=False, allow_blank=True)
