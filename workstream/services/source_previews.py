"""What a sample would become at a source, before anything real comes in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flowledger.api import strict_json
from flowledger.errors import InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.intake.fields import FieldErrors, SignalFields, read_parsed_fields
from workstream.intake.form_reading import Unreadable, is_robot, read_form, read_inputs
from workstream.intake.json_mapping import Unmapped
from workstream.intake.options import read_options
from workstream.models.intake import IntakeSource, SourceKind
from workstream.services.webhooks import document_of, fields_of, map_for

JSON = "application/json"


@dataclass(frozen=True)
class Previewed:
    """What one item of a sample would become: the fields of a signal, or what is wrong with them."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, list[str]] = field(default_factory=dict)


@use_case
def preview_source(
    *,
    org: Organization,
    source_id: int,
    sample: Any,
    content_type: str = JSON,
    options: Mapping[str, Any] | None = None,
    actor: Actor,
    at: datetime,
) -> list[Previewed]:
    """Every item of a sample as the source's options, or those given here, would read it; nothing is stored.

    The sample is JSON, or a text that is the body of a request of that content type. Raises NotFound,
    PermissionRefused, InvalidInput for options or a sample that cannot be read, and for sources that read mail.
    """
    source: IntakeSource = IntakeSource.objects.for_org(org).fetch(source_id)
    authorize(actor, "edit_sources")
    chosen = read_options(source.kind, source.options if options is None else options)
    body = sample.encode() if isinstance(sample, str) else json.dumps(sample).encode()
    try:
        if source.kind == SourceKind.WEBHOOK:
            mapped = map_for(source, chosen, document_of(body, content_type))
            return [_previewed(fields_of(each, source.source_type), each.fields) for each in mapped]
        if source.kind == SourceKind.WEB_FORM:
            return [_preview_form(source, chosen, read_inputs(body, content_type), at)]
    except (Unmapped, Unreadable, strict_json.Unusable) as refusal:
        raise _refused(str(refusal)) from None
    raise _refused("A sample can be tried with web forms and webhooks; send a message to try a mailbox.")


def _preview_form(source: IntakeSource, options: Any, inputs: Mapping[str, str], at: datetime) -> Previewed:
    read = read_form(options, inputs, form=source.name, page="", at=at)
    if is_robot(options, inputs):
        return Previewed(read.fields, {options.honeypot: ["Whoever fills this in is taken for a robot."]})
    if read.errors:
        return Previewed(read.fields, read.errors)
    try:
        return Previewed(read_parsed_fields(read.fields, default_source_type=source.source_type).as_json())
    except FieldErrors as error:
        return Previewed(read.fields, error.errors)


def _previewed(found: SignalFields | dict[str, list[str]], raw: Mapping[str, Any]) -> Previewed:
    return Previewed(found.as_json()) if isinstance(found, SignalFields) else Previewed(raw, found)


def _refused(sentence: str) -> InvalidInput:
    return InvalidInput(sentence, fields={"sample": [sentence]})
