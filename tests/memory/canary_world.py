"""A sales organisation in which one person has left traces everywhere; two words that nobody else ever wrote.

NAME is part of how the person is called; SECRET is part of what was said by and about them, without a name beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flowledger.clients import services as clients
from flowledger.clients.models import Client, Contact
from flowledger.outbox.drain import drain_all
from flowledger.outbox.emails import queue_email
from flowledger.outbox.models import HandlerFailure, WorkEvent
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from memory.services import write_atom
from tests.factories import ContactFactory
from tests.workstream.factories import AT, CLERK, SignalFactory, complete_checklist, open_pursuit
from tests.workstream.messages import message
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import ImportChange, ImportRow, ImportRun, Notification, Pursuit, Signal, WorkItemLink
from workstream.models.activities import LinkType

NAME = "zanzibarius"
SECRET = "xylophant"
PERSON = "Quillon Zanzibarius"
EMAIL = "quillon.zanzibarius@gmail.com"
PHONE = "+493012345678"
LATER = AT + timedelta(days=30)
FIRST_MAIL = message(
    "We prefer the xylophant press.\n\nOur budget is frozen until the xylophant is approved.\n",
    sender=f"{PERSON} <{EMAIL}>",
    subject="Offer for a xylophant",
    message_id="<first.zanzibarius@mail.example>",
)
REPLY = message(
    "Let us talk.\n\nOn Tuesday Quillon wrote:\n> We prefer the xylophant press.\n",
    sender="Rita Rowe <rita@acme.example>",
    subject="Re: Offer for a xylophant",
    message_id="<second@mail.example>",
    date="Wed, 04 Mar 2026 10:00:00 +0100",
    In_Reply_To="<first.zanzibarius@mail.example>",
)


@dataclass
class Traces:
    """Where the person has left traces, and what has nothing to do with them."""

    org: Organization
    contact: Contact
    client: Client
    signal: Signal
    pursuit: Pursuit
    stranger: Contact
    more: dict[str, Any] = field(default_factory=dict)


def leave_traces(org: Organization, *, user: Any) -> Traces:
    """Through the doors and verbs wherever there is one."""
    keys: dict[str, Any] = {"org": org, "actor": CLERK, "at": LATER}
    mail = services.receive_mail(source=None, raw=FIRST_MAIL, sender="from 192.0.2.1", **keys)
    services.receive_mail(source=None, raw=REPLY, **keys)
    services.receive_mail(source=None, raw=f"No message at all, says {EMAIL}: xylophant".encode(), **keys)
    with org_scope(org):
        signal = Signal.objects.for_org(org).get(pk=mail.signal_id)
        contact = Contact.objects.for_org(org).get(pk=signal.contact_id)
        client = Client(org=org, name="Acme", attributes={"our champion": PERSON})
        client.save()
    clients.update_contact(
        contact_id=contact.pk,
        fields={
            "client": client,
            "phone": PHONE,
            "title": "Head of xylophant",
            "preferences": {"calls": "never before the xylophant"},
            "social_links": {"site": "https://zanzibarius.example"},
        },
        **keys,
    )
    stranger = _stranger(org, client)
    _merge_a_double(org, contact, keys)
    _web_signal(org, contact)
    pursuit = _deal(org, client, contact, signal, user, keys)
    _notes(org, contact, signal, pursuit, stranger, keys)
    _by_hand(org, contact, signal, user, keys)
    drain_all()
    _failure(org, signal)
    with org_scope(org):
        return Traces(
            org=org,
            contact=Contact.objects.for_org(org).get(pk=contact.pk),
            client=client,
            signal=Signal.objects.for_org(org).get(pk=signal.pk),
            pursuit=Pursuit.objects.for_org(org).get(pk=pursuit.pk),
            stranger=stranger,
        )


def _stranger(org: Organization, client: Client) -> Contact:
    with org_scope(org):
        return ContactFactory(org=org, client=client, name="Mira Stone", preferences={"calls": "in the morning"})


def _merge_a_double(org: Organization, contact: Contact, keys: dict[str, Any]) -> None:
    with org_scope(org):
        double = ContactFactory(org=org, name="Q. Zanzibarius Esq", title="xylophant buyer")
    clients.merge_contacts(survivor_id=contact.pk, loser_id=double.pk, reason="Same Quillon Zanzibarius", **keys)


def _web_signal(org: Organization, contact: Contact) -> None:
    with org_scope(org):
        SignalFactory(
            org=org,
            contact=contact,
            contact_email=EMAIL,
            contact_name=PERSON,
            snippet="A custom field",
            attributes={"favourite": "xylophant", "nested": {"list": ["xylophant"]}},
        )


def _deal(
    org: Organization, client: Client, contact: Contact, signal: Signal, user: Any, keys: dict[str, Any]
) -> Pursuit:
    """A deal with the person, lost for a reason, with its review and its proposal."""
    pursuit = open_pursuit(org, stage=PursuitStage.SUBMIT, contact=contact, owner=user, title=f"Press for {PERSON}")
    with org_scope(org):
        candidate = pursuit.candidate
        item = pursuit.checklist_items.order_by("pk")[0]
    services.link_signal(signal_id=signal.pk, candidate_id=candidate.pk, reason="The xylophant press", **keys)
    services.update_candidate(candidate_id=candidate.pk, fields={"next_step": f"Call {PERSON} about it"}, **keys)
    services.update_checklist_item(item_id=item.pk, evidence=f"{PERSON} signs, said their office", **keys)
    complete_checklist(pursuit, "red", at=LATER)
    services.move_pursuit(
        pursuit_id=pursuit.pk, stage=PursuitStage.LOST, reason=f"{PERSON} decided for a cheaper xylophant.", **keys
    )
    return pursuit


def _notes(
    org: Organization, contact: Contact, signal: Signal, pursuit: Pursuit, stranger: Contact, keys: dict[str, Any]
) -> None:
    for item_type, item_id in (("contact", contact.pk), ("signal", signal.pk), ("pursuit", pursuit.pk)):
        services.log_activity(
            item_type=item_type,
            item_id=item_id,
            kind="note",
            summary="A talk about the xylophant",
            body="They prefer a blue xylophant. The xylophant must come in May.",
            **keys,
        )
    services.log_activity(
        item_type="contact",
        item_id=stranger.pk,
        kind="call",
        summary="Mira prefers mornings",
        body=f"Mira prefers to be called in the morning. She reports to {PERSON} since May.",
        **keys,
    )
    services.create_task(item_type="contact", item_id=contact.pk, title="Send the xylophant catalogue", **keys)
    services.create_task(item_type="pursuit", item_id=pursuit.pk, title=f"Thank {PERSON}", **keys)


def _by_hand(org: Organization, contact: Contact, signal: Signal, user: Any, keys: dict[str, Any]) -> None:
    """What has no verb here: links, notifications, imports, emails."""
    write_atom(
        entity_type="contact", entity_id=contact.pk, kind="preference", content="Wants xylophant samples.", **keys
    )
    with org_scope(org):
        WorkItemLink(
            org=org,
            contact=contact,
            link_type=LinkType.URL,
            target_ref="https://x.example/xylophant",
            title="xylophant",
        ).save()
        Notification(
            org=org,
            user=user,
            kind="breach",
            source_key="breach-1",
            title=f"Untouched: email of {PERSON}",
            body=f"{EMAIL} waits",
            item_type="signal",
            item_id=signal.pk,
            happened_at=AT,
        ).save()
        run = ImportRun(
            org=org,
            kind="contacts",
            file_name=f"{PERSON}.csv",
            file_sha256="0" * 64,
            file_bytes=10,
            encoding="utf-8",
            delimiter=",",
        )
        run.save()
        ImportRow(org=org, run=run, number=1, cells=[PERSON, "xylophant"], outcome="updated", item_id=contact.pk).save()
        ImportRow(org=org, run=run, number=2, cells=["Mira", f"knows {EMAIL}"], outcome="rejected").save()
        ImportChange(
            org=org,
            run=run,
            row_number=1,
            model="clients.contact",
            item_id=contact.pk,
            is_creation=False,
            before={"title": "xylophant"},
            after={"title": f"Head {PERSON}"},
            version_after=1,
        ).save()
        queue_email(org=org, key="to-them", to=[EMAIL], subject="Your xylophant", body="About the xylophant")
        queue_email(org=org, key="about", to=["boss@harbour.example"], subject="Note", body=f"Ask {PERSON}\n soon")


def _failure(org: Organization, signal: Signal) -> None:
    with org_scope(org):
        told = WorkEvent.objects.for_org(org).filter(item_type="signal", item_id=signal.pk).order_by("pk")[0]
        HandlerFailure(
            org=org,
            event_id=told.pk,
            handler="clusters",
            attempt=1,
            error="ValueError: cannot read 'We prefer the xylop' of xylophant",
            traceback="Traceback: xylophant",
        ).save()


ADMIN = Actor.system("data protection")
LEAST_CONFIDENCE = Decimal("0.5")
