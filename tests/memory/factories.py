"""Rows of memory for tests: factories store past the use cases.

An entity is named by its kind (`AtomFactory(org=org, pursuit=pursuit)`); without one the row is about a new client.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from datetime import timedelta
from typing import Any

import factory
from factory.django import DjangoModelFactory

from flowledger.tenancy.actors import ActorKind
from memory.models import (
    ENTITY_MODELS,
    Atom,
    AtomConflict,
    AtomLink,
    AtomSource,
    AtomVector,
    AtomVersion,
    CardLook,
    CardMark,
    ExtractionJob,
    Kind,
    LegalHold,
    MemoryCard,
    MemoryLedger,
    Redaction,
    TermStat,
)
from tests.factories import ClientFactory, OrgFactory, UserFactory
from tests.workstream.factories import AT, SignalFactory
from workstream.models import MailMessage, MailThread

POINTS = {"decision": 100, "risk": 90, "preference": 80, "note": 60, "status": 40}
SECRET = b"the secret of a ledger in the tests"
_numbers = itertools.count(1)


def _same_org(of: type[DjangoModelFactory[Any]], **more: Any) -> Any:
    return factory.SubFactory(of, org=factory.SelfAttribute("..org"), **more)


def digest_of(text: str) -> str:
    """A hash of the right form; equal for equal texts."""
    return hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()


class MailThreadFactory(OrgFactory):
    class Meta:
        model = MailThread

    subject = factory.Sequence(lambda n: f"Offer {n}")


class MailMessageFactory(OrgFactory):
    """A message that was received, with its signal."""

    class Meta:
        model = MailMessage

    thread = _same_org(MailThreadFactory)
    message_id = factory.Sequence(lambda n: f"{n}@mail.example")
    signal = _same_org(SignalFactory)
    sent_at = AT


class EntityFactory(OrgFactory):
    """Base of rows about one entity."""

    class Meta:
        abstract = True

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> Any:
        if not any(kwargs.get(name) or kwargs.get(f"{name}_id") for name in ENTITY_MODELS):
            kwargs["client"] = ClientFactory(org=kwargs["org"])
        return super()._create(model_class, *args, **kwargs)


class MemoryLedgerFactory(OrgFactory):
    class Meta:
        model = MemoryLedger

    secret = SECRET


class AtomFactory(EntityFactory):
    """An active note with the link to its entity and one source; `bare=True` leaves both out.

    `through` names further rows that it is visible from: `AtomFactory(org=org, pursuit=deal, through=[client])`.
    """

    class Meta:
        model = Atom

    kind = Kind.NOTE
    content = factory.Sequence(lambda n: f"They asked about machine {n}.")
    thread_key = factory.Sequence(lambda n: f"client:{n}")
    occurred_at = AT
    valid_from = factory.SelfAttribute("occurred_at")
    last_seen_at = factory.SelfAttribute("occurred_at")
    base_score = factory.LazyAttribute(lambda atom: POINTS[str(atom.kind)])
    content_hash = factory.LazyAttribute(lambda atom: digest_of(atom.content))
    expires_at = factory.LazyAttribute(lambda atom: atom.occurred_at + timedelta(days=90))

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> Any:
        bare, through = kwargs.pop("bare", False), kwargs.pop("through", ())
        atom = super()._create(model_class, *args, **kwargs)
        if not bare:
            AtomSourceFactory(org=atom.org, atom=atom)
            AtomLinkFactory(org=atom.org, atom=atom)
            for row in through:
                AtomLinkFactory(org=atom.org, atom=atom, role="through", **{entity_name(row): row})
        return atom


def entity_name(row: Any) -> str:
    """The kind of entity that a row is: `client`, `pursuit`, `thread`."""
    return next(name for name, label in ENTITY_MODELS.items() if label == row._meta.label)


class AtomLinkFactory(OrgFactory):
    """The atom as it is visible from its own entity, or from one that is named."""

    class Meta:
        model = AtomLink

    atom = _same_org(AtomFactory, bare=True)
    role = "subject"
    kind = factory.SelfAttribute("atom.kind")
    occurred_at = factory.SelfAttribute("atom.occurred_at")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> Any:
        if not any(kwargs.get(name) or kwargs.get(f"{name}_id") for name in ENTITY_MODELS):
            atom = kwargs["atom"]
            kwargs[f"{atom.entity_type}_id"] = atom.entity_id
        return super()._create(model_class, *args, **kwargs)


class AtomSourceFactory(OrgFactory):
    class Meta:
        model = AtomSource

    atom = _same_org(AtomFactory, bare=True)
    natural_key = factory.LazyFunction(lambda: digest_of(f"key {next(_numbers)}"))
    source_type = "activity"
    source_id = factory.Sequence(lambda n: n + 1)
    source_field = "body"
    extractor = "tests"
    actor_kind = ActorKind.SYSTEM
    actor_label = "tests"
    occurred_at = factory.SelfAttribute("atom.occurred_at")


class AtomVersionFactory(OrgFactory):
    """What an atom was first written as; its digest is no link of a real chain."""

    class Meta:
        model = AtomVersion

    atom = _same_org(AtomFactory)
    version = 1
    kind = factory.SelfAttribute("atom.kind")
    content = factory.SelfAttribute("atom.content")
    because = AtomVersion.Because.WRITTEN
    actor_kind = ActorKind.SYSTEM
    actor_label = "tests"
    at = AT
    valid_from = factory.SelfAttribute("atom.valid_from")
    content_hash = factory.SelfAttribute("atom.content_hash")
    digest = factory.LazyFunction(lambda: digest_of(f"link {next(_numbers)}"))


class AtomConflictFactory(OrgFactory):
    """Two atoms of one client that nobody has decided between."""

    class Meta:
        model = AtomConflict

    older = _same_org(AtomFactory, kind=Kind.PREFERENCE, content="They prefer to be called.")
    newer = factory.SubFactory(
        AtomFactory,
        org=factory.SelfAttribute("..org"),
        client=factory.SelfAttribute("..older.client"),
        kind=Kind.PREFERENCE,
        content="They prefer email.",
        occurred_at=AT + timedelta(days=1),
    )
    slot = "channel"
    found_at = AT


class MemoryCardFactory(EntityFactory):
    class Meta:
        model = MemoryCard

    summary = factory.LazyFunction(dict)
    top_atoms = factory.LazyFunction(list)
    atom_count = 0
    etag = factory.LazyFunction(lambda: digest_of(f"card {next(_numbers)}"))
    template_version = "1"
    source_epoch = 0
    last_built_at = AT


class CardMarkFactory(EntityFactory):
    class Meta:
        model = CardMark

    first_marked_at = AT
    due_at = factory.LazyAttribute(lambda mark: mark.first_marked_at + timedelta(seconds=10))


class CardLookFactory(EntityFactory):
    class Meta:
        model = CardLook

    user = factory.SubFactory(UserFactory)
    looked_at = AT


class RedactionFactory(OrgFactory):
    """A redaction of one atom, as it is kept; nothing is redacted by it."""

    class Meta:
        model = Redaction

    target = Redaction.Target.ATOM
    named = factory.LazyFunction(lambda: {"atom_ids": [1]})
    reason = "The customer asked for it"
    actor_kind = ActorKind.SYSTEM
    actor_label = "tests"
    redacted_at = AT
    atom_count = 1
    touched = factory.LazyFunction(lambda: {"atoms": 1})
    digest = factory.LazyFunction(lambda: digest_of(f"redaction {next(_numbers)}"))
    epoch = 1


class LegalHoldFactory(EntityFactory):
    """A standing hold."""

    class Meta:
        model = LegalHold

    reason = "A case before the court"
    placed_at = AT


class TermStatFactory(OrgFactory):
    class Meta:
        model = TermStat

    lexeme = factory.Sequence(lambda n: f"lexeme{n}")
    df = 1


class AtomVectorFactory(OrgFactory):
    class Meta:
        model = AtomVector

    atom = _same_org(AtomFactory)
    model = "tests"
    content_hash = factory.SelfAttribute("atom.content_hash")
    scale = 1.0
    vector = bytes([127, 0, 0, 0])


class ExtractionJobFactory(OrgFactory):
    """A job that waits."""

    class Meta:
        model = ExtractionJob

    source_type = "activity"
    source_id = factory.Sequence(lambda n: n + 1)
    due_at = AT
