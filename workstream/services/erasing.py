"""What the pipeline holds of a person, table by table in the order in which rows are locked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q, TextField
from django.db.models.functions import Cast

from flowledger.clients.erasure import Counts, Person
from flowledger.clients.services.texts import TextEraser, Texts, candidate, escaped
from flowledger.clients.sql.texts import write_texts
from flowledger.outbox.redaction import MARKER
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from workstream.intake.sealed_keys import sealed
from workstream.machines import RejectStatus
from workstream.models import (
    Activity,
    Candidate,
    CandidateSignal,
    ChecklistItem,
    CostEntry,
    Engagement,
    FormSubmission,
    GateCheck,
    ImportChange,
    ImportRow,
    ImportRun,
    IntakeReject,
    IntakeSource,
    MailMessage,
    MailThread,
    Notification,
    Proposal,
    Pursuit,
    Signal,
    SignalCluster,
    SignalDelivery,
    SignalPayload,
    StageHistory,
    Tag,
    Task,
    TodayItem,
    WorkItemLink,
)
from workstream.models.today import no_counts
from workstream.sql import erasing as sql
from workstream.sql.today import advance_version, lock_panel

_ERASURE = Actor.system("erasure of a person")
NOTHING_SHA256 = hashlib.sha256(b"").hexdigest()
_MEMBER = "A member of the organisation, or a key."
_MACHINE = "A name or a code of the machine's."


def _signals(person: Person, prefix: str = "") -> Q:
    """The signals that came from the person, those that nobody has resolved with them."""
    return Q(**{f"{prefix}contact__in": person.contact_ids}) | Q(**{f"{prefix}contact_email__in": person.emails})


def _notes(person: Person) -> Q:
    """What was noted of the person, of their signals, and of deals in which they are the one to talk to."""
    noted = Q(contact__in=person.contact_ids) | _signals(person, "signal__")
    noted |= Q(candidate__contact__in=person.contact_ids) | Q(pursuit__contact__in=person.contact_ids)
    return noted | Q(engagement__pursuit__contact__in=person.contact_ids)


def _own_items(person: Person) -> Q:
    return Q(contact__in=person.contact_ids) | _signals(person, "signal__")


def _rejects(person: Person) -> Q:
    """What came from the person and could not become a signal: they are named in its bytes or in what was read."""
    rows = IntakeReject.objects.for_org(person.org)
    naming = Q(pk__in=[])
    if person.mentions:
        naming = Q(candidate(person.mentions, escaped("body"), in_bytes=True))
        for name in ("fields", "errors", "reason", "sender", "note"):
            naming |= Q(candidate(person.mentions, Cast(name, TextField())))
    return Q(pk__in=list(rows.filter(naming | _signals(person, "signal__")).values_list("pk", flat=True)))


def _submissions(person: Person) -> Q:
    return Q(email__in=person.emails) | _signals(person, "signal__")


def _records(person: Person) -> dict[str, list[int]]:
    """The records of the person that an import can have made, by kind of import."""
    signals = Signal.objects.for_org(person.org).filter(_signals(person)).values_list("pk", flat=True)
    return {"signals": list(signals), "contacts": list(person.contact_ids)}


def _import_rows(person: Person) -> Q:
    own = Q(pk__in=[])
    for kind, pks in _records(person).items():
        own |= Q(run__kind=kind, item_id__in=pks)
    return own


def _import_changes(person: Person) -> Q:
    records = _records(person)
    return Q(model="workstream.signal", item_id__in=records["signals"]) | Q(
        model="clients.contact", item_id__in=records["contacts"]
    )


def _notified(person: Person) -> Q:
    return Q(item_type="signal", item_id__in=_records(person)["signals"]) | Q(
        item_type="contact", item_id__in=person.contact_ids
    )


PIPELINE = [
    Texts(
        Signal,
        own=_signals,
        left={
            **dict.fromkeys(("source_ref", "snippet", "problem_phrase", "solution_hint"), ""),
            **dict.fromkeys(("contact_email", "contact_phone", "contact_name"), ""),
            "attributes": {},
            "identity_resolution": {},
            "reject_reason": MARKER,
        },
        named_in=(
            *("source_ref", "snippet", "problem_phrase", "solution_hint", "contact_email", "contact_phone"),
            *("contact_name", "company_name"),
            *("attributes", "identity_resolution", "reject_reason"),
        ),
        spared={
            "company_domain": "It is a company's.",
            "dedupe_key": "Sealed by `seal_keys`.",
        },
    ),
    Texts(
        SignalCluster,
        own=lambda person: Q(pk__in=Signal.objects.for_org(person.org).filter(_signals(person)).values("cluster")),
        left={"label": ""},
        named_in=("label",),
        spared=dict.fromkeys(("algorithm", "algorithm_version", "parameters"), _MACHINE),
    ),
    Texts(
        Candidate,
        named_in=("title", "one_liner_scope", "next_step", "hold_reason", "archive_reason"),
        spared={"icp_band": _MACHINE},
    ),
    Texts(Pursuit, named_in=("title", "outcome_reason")),
    Texts(
        SignalPayload,
        own=lambda person: _signals(person, "signal__"),
        left={"body": b"", "sha256": NOTHING_SHA256},
        spared={"content_type": _MACHINE},
    ),
    Texts(
        SignalDelivery,
        own=lambda person: _signals(person, "signal__"),
        left={"sender": "", "payload_sha256": ""},
        named_in=("sender",),
    ),
    Texts(
        MailMessage,
        own=lambda person: _signals(person, "signal__"),
        left={"message_id": sql.instead_of_id()},
    ),
    Texts(
        MailThread,
        own=lambda person: Q(
            pk__in=MailMessage.objects.for_org(person.org).filter(_signals(person, "signal__")).values("thread")
        ),
        left={"subject": ""},
        named_in=("subject",),
    ),
    Texts(CandidateSignal, own=lambda person: _signals(person, "signal__"), left={"reason": ""}, named_in=("reason",)),
    Texts(
        Activity,
        own=_notes,
        left={"summary": MARKER, "body": ""},
        named_in=("summary", "body"),
        spared={"actor_label": _MEMBER},
    ),
    Texts(
        Task,
        own=_own_items,
        left={"title": MARKER},
        named_in=("title",),
        spared=dict.fromkeys(("created_by_rule", "rule_key"), _MACHINE),
    ),
    Texts(
        WorkItemLink,
        own=_own_items,
        left={"target_ref": MARKER, "title": ""},
        named_in=("target_ref", "title"),
        spared={"target_type": _MACHINE},
    ),
    Texts(
        ChecklistItem,
        named_in=("name", "evidence", "waive_reason"),
        numbered=("name",),
        spared={"waived_by_label": _MEMBER},
    ),
    Texts(GateCheck, named_in=("unmet",), spared={"actor_label": _MEMBER}),
    Texts(CostEntry, named_in=("role", "note")),
    Texts(Proposal, named_in=("title", "body", "recipients")),
    Texts(Engagement, named_in=("title",)),
    Texts(StageHistory, spared={"actor_label": _MEMBER, "state": _MACHINE, "left_for": _MACHINE}),
    Texts(Tag, named_in=("name",), numbered=("name",)),
    Texts(
        Notification,
        own=_notified,
        left={"title": MARKER, "body": ""},
        named_in=("title", "body"),
        spared={
            **dict.fromkeys(("kind", "source_key", "item_type"), _MACHINE),
        },
    ),
    Texts(
        IntakeReject,
        own=_rejects,
        left={
            "body": b"",
            "sha256": sql.instead_of_digest(),
            "sender": "",
            "reason": MARKER,
            "note": MARKER,
            "errors": {},
            "fields": {},
        },
        spared={"content_type": _MACHINE, "code": _MACHINE},
    ),
    Texts(
        FormSubmission,
        own=_submissions,
        goes=True,
        named_in=("fields", "sender"),
        spared={
            "body": "What the submission of another says is that person's own.",
            "email": "That of another, or the submission is the person's own.",
            "content_type": _MACHINE,
            "token_sha256": _MACHINE,
        },
    ),
    Texts(
        ImportRun,
        named_in=("file_name", "failure"),
        spared={
            **dict.fromkeys(("headers", "mapping"), "Headings of columns."),
            **dict.fromkeys(("file_sha256", "encoding"), _MACHINE),
        },
    ),
    Texts(ImportRow, own=_import_rows, left={"cells": [], "errors": {}}, named_in=("cells", "errors")),
    Texts(
        ImportChange,
        own=_import_changes,
        left={"before": {}, "after": {}, "kept_reason": "Its person was erased."},
        named_in=("before", "after", "kept_reason"),
        spared={"model": _MACHINE},
    ),
    Texts(
        IntakeSource,
        named_in=("failure",),
        spared=dict.fromkeys(
            ("name", "token", "options", "state", "sealed_secret", "previous_sealed_secret"),
            "How the organisation receives signals; not about who sends them.",
        ),
    ),
]
PANEL = [
    Texts(
        TodayItem,
        named_in=("label", "client_name", "tags"),
        spared=dict.fromkeys(("state", "value_band", "icp_band"), _MACHINE),
    ),
]
# The organisation's own vocabulary, and what the machine counts.
SPARED = frozenset(
    {
        *("workstream.problem", "workstream.solution", "workstream.checklisttemplate", "workstream.proposaltemplate"),
        *("workstream.businesscalendar", "workstream.closingday", "workstream.slarule", "workstream.slaclock"),
        *("workstream.slabreach", "workstream.itemtally", "workstream.todayversion", "workstream.candidatetag"),
        *("workstream.pursuittag", "workstream.notificationpreference"),
    }
)


class PipelineEraser(TextEraser):
    """The pipeline's tables; deals and counts stay, what a person said of themselves goes."""

    def __init__(self) -> None:
        super().__init__(PIPELINE, _before)

    def erase(self, *, person: Person, at: datetime) -> Counts:
        """As the tables say, with the doors of what is kept as received open for this transaction's part."""
        with sql.doors_open():
            return super().erase(person=person, at=at)


class PanelEraser(TextEraser):
    """The Today panel, which copies titles and names; its version grows, so that nobody is answered 304."""

    def __init__(self) -> None:
        super().__init__(PANEL)

    def erase(self, *, person: Person, at: datetime) -> Counts:
        """Under the panel's lock, which comes before its rows."""
        lock_panel(org_id=person.org.pk)
        touched = super().erase(person=person, at=at)
        if touched:
            advance_version(org_id=person.org.pk, steps=no_counts(), at=at)
        return touched


def _before(person: Person, at: datetime) -> Counts:
    """What is more than texts: keys against repeats are sealed, rejects are closed, imports give nothing back."""
    org = person.org
    signals = list(Signal.objects.for_org(org).filter(_signals(person)).order_by("pk").values_list("pk", flat=True))
    seal_keys(org, signals, at=at)
    open_rejects = IntakeReject.objects.for_org(org).filter(_rejects(person), status=RejectStatus.OPEN)
    for reject in open_rejects.order_by("pk").select_for_update(no_key=True):
        reject.discard(note="Its sender was erased.", actor=_ERASURE, at=at)
        reject.save()
    changes = ImportChange.objects.for_org(org).filter(_import_changes(person), undone_at__isnull=True)
    changes.update(undone_at=at, updated_at=at)
    return {}


def seal_keys(org: Organization, signal_ids: Sequence[int], *, at: datetime) -> None:
    """Leave of the natural keys of signals what recognises a repeat and nothing that can be read."""
    rows = Signal.objects.for_org(org).filter(pk__in=signal_ids, dedupe_key__isnull=False).order_by("pk")
    keys = {
        pk: [sealed(org.pk, key)] for pk, key in rows.select_for_update(no_key=True).values_list("pk", "dedupe_key")
    }
    write_texts(Signal, org_id=org.pk, columns=["dedupe_key"], rows=keys, at=at)
