"""A form field for tags: pick known ones or type new ones."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelect2MultipleWidget

from flowledger.backoffice.forms import OrgModelForm
from workstream.models import Tag
from workstream.services.taxonomy import names_of_tags

TAGS_OFFERED = 500


class TagsField(forms.MultipleChoiceField):
    """Names of tags; the service makes the missing ones and judges the names."""

    # select2 reads its options from the data attributes.
    widget = UnfoldAdminSelect2MultipleWidget(attrs={"data-tags": "true", "data-token-separators": '[","]'})

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", "Pick tags, or type a new one and press Enter.")
        super().__init__(required=False, label="Tags", **kwargs)

    def valid_value(self, value: str) -> bool:
        return True

    def offer(self, names: list[str]) -> None:
        """Set the names to pick from."""
        self.choices = [(name, name) for name in names]


class TaggedForm(OrgModelForm):
    """The form of a row with `tag_links`; the tags are stored by its service."""

    tag_names = TagsField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields.get("tag_names")
        if not isinstance(field, TagsField) or self.org is None:
            # A reader's page has no inputs.
            return
        current = [] if self.is_new else names_of_tags(self.instance)
        self.initial["tag_names"] = current
        known = Tag.objects.for_org(self.org).order_by("name", "pk").values_list("name", flat=True)[:TAGS_OFFERED]
        sent: Any = self.data
        typed = sent.getlist(self.add_prefix("tag_names")) if self.is_bound else []
        field.offer(list(dict.fromkeys([*current, *known, *typed])))

    def tags_to_store(self) -> list[str] | None:
        """The tags to put on the row; None when they were not touched."""
        return self.cleaned_data["tag_names"] if "tag_names" in self.changed_data else None
