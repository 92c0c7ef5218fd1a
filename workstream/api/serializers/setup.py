"""Taxonomy and templates of the organisation."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from flowledger.api.serializers import Body, OrgSerializer
from workstream.models import ChecklistTemplate, Problem, ProposalTemplate, Solution, Tag
from workstream.models.checklists import TemplateKind


class ProblemSerializer(OrgSerializer):
    """A kind of problem."""

    class Meta:
        model = Problem
        resource = "problem"
        fields = ("name", "definition", "is_active")


class SolutionSerializer(OrgSerializer):
    """An entry of the solution catalogue."""

    class Meta:
        model = Solution
        resource = "solution"
        fields = ("name", "playbook_reference", "list_price", "is_active")


class TagSerializer(OrgSerializer):
    """A label."""

    class Meta:
        model = Tag
        resource = "tag"
        fields = ("name",)


class _TemplateItemSerializer(serializers.Serializer[Any]):
    sometimes_absent = ("is_required", "due_in_days")

    name = serializers.CharField(max_length=200)
    is_required = serializers.BooleanField(required=False)
    due_in_days = serializers.IntegerField(required=False, min_value=0, max_value=3650)


class ChecklistTemplateSerializer(OrgSerializer):
    """One version of a template; the newest of its kind applies."""

    items = _TemplateItemSerializer(many=True, read_only=True)

    class Meta:
        model = ChecklistTemplate
        resource = "checklist_template"
        fields = ("kind", "version", "items", "published_by_user_id")


class ChecklistTemplateBody(Body):
    """The next version of a template."""

    kind = serializers.ChoiceField(choices=TemplateKind.choices)
    items = _TemplateItemSerializer(many=True, allow_empty=False)


class ProposalTemplateSerializer(OrgSerializer):
    """One version of the template of first drafts."""

    class Meta:
        model = ProposalTemplate
        resource = "proposal_template"
        fields = ("version", "title", "body")


class ProposalTemplateBody(Body):
    """The next version of the template of first drafts."""

    title = serializers.CharField(max_length=200)
    body = serializers.CharField(max_length=200_000)
