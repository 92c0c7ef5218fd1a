"""`/api/memory/redactions`: what was removed for good; and putting right what is wrong."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flowledger.api.mixins import ListModelMixin, RetrieveModelMixin
from flowledger.api.viewsets import OrgViewSet
from flowledger.tenancy.actors import Role
from memory import services
from memory.api.serializers.atoms import AtomSerializer
from memory.api.serializers.redactions import CORRECT, DryRunSerializer, RedactionBody, RedactionSerializer
from memory.models import Redaction
from memory.services.redaction import DryRun, Target

# What is answered when nothing was redacted.
INSTEAD = PolymorphicProxySerializer(
    component_name="RedactionInstead",
    serializers={"dry_run": DryRunSerializer, "atom": AtomSerializer},
    resource_type_field_name=None,
)


class RedactionViewSet(OrgViewSet, ListModelMixin, RetrieveModelMixin):
    """Redactions, newest first, for managers."""

    model = Redaction
    resource = "redaction"
    scope = "memory"
    serializer_class = RedactionSerializer
    action_roles = {"list": Role.MANAGER, "retrieve": Role.MANAGER, "create": Role.REP}
    body_classes = {"create": RedactionBody}
    # The body names a row.
    more_statuses = (404, 409)

    def scoped_queryset(self, rows: Any) -> Any:
        return rows.order_by("-pk")

    @extend_schema(responses={200: INSTEAD, 201: RedactionSerializer})
    def create(self, request: Request) -> Response:
        """Remove content for good (a manager), or put an atom right; a dry run and a correction answer 200."""
        asked = self.body()
        if asked["action"] == CORRECT:
            return self._correct(asked)
        found = services.redact(
            org=self.org,
            target=_target(asked),
            reason=asked["reason"],
            dry_run=asked["dry_run"],
            actor=self.actor,
            at=now(),
        )
        return Response(DryRunSerializer(found).data) if isinstance(found, DryRun) else self.reply(found, status=201)

    def _correct(self, asked: dict[str, Any]) -> Response:
        more = {"because": asked["because"]} if "because" in asked else {}
        atom = services.correct_atom(
            org=self.org,
            atom_id=asked["atom_id"],
            content=asked["correction_content"],
            reason=asked["reason"],
            **more,
            actor=self.actor,
            at=now(),
        )
        return Response(AtomSerializer(atom, context=self.get_serializer_context()).data)


def _target(asked: dict[str, Any]) -> Target:
    if "atom_id" in asked:
        return Target(atom_ids=(asked["atom_id"],))
    if "entity" in asked:
        return Target(entity=(asked["entity"]["entity_type"], asked["entity"]["entity_id"]))
    return Target(source=(asked["source"]["source_type"], asked["source"]["source_id"]))
