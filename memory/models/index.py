"""What search stands on beside the atoms themselves, and the work that a language model still has to do."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from flowledger.tenancy.constraints import tenant_constraints
from flowledger.tenancy.fields import OrgForeignKey
from flowledger.tenancy.models import OrgModel
from memory.machines import JobStatus
from memory.models.atoms import Atom
from memory.models.entities import GOES_WITH


class MemoryLedger(OrgModel):
    """One row an organisation: its secret for keys and hashes, and what search must know of the whole.

    `epoch` grows with every redaction: what was read at an older one must not be written or served.
    """

    secret = models.BinaryField()
    epoch = models.BigIntegerField(default=0)
    atom_count = models.PositiveIntegerField(default=0)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    # How far the running refresh of the term statistics has come; between two of them, the newest atom that it knew.
    refresh_state = models.JSONField(default=dict, blank=True)
    # Digest of the rule of kinds that the expiry of active atoms follows, and up to which of them; null for all.
    expiry_rule = models.CharField(max_length=64, blank=True)
    expiry_after = models.BigIntegerField(null=True, blank=True)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("memory_ledger"),
            models.UniqueConstraint(fields=["org"], name="memory_ledger_once"),
        ]

    def __str__(self) -> str:
        return f"Ledger of organisation {self.org_id}"


class TermStat(OrgModel):
    """In how many active atoms of the organisation a lexeme stands, as of the last refresh.

    A lexeme is as in `words`, without the organisation in front. `counted` is what a running refresh has found.
    """

    lexeme = models.TextField()
    df = models.PositiveIntegerField()
    counted = models.PositiveIntegerField(default=0)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("term_stat"),
            models.UniqueConstraint(fields=["org", "lexeme"], include=["df"], name="term_stat_once"),
        ]

    def __str__(self) -> str:
        return str(self.lexeme)


class AtomVector(OrgModel):
    """The embedding of an atom's text: int8 with one scale, of one model; made anew when text or model change."""

    goes_with = GOES_WITH

    atom = OrgForeignKey(Atom, models.CASCADE, related_name="vectors")
    model = models.CharField(max_length=120)
    content_hash = models.CharField(max_length=64)
    scale = models.FloatField()
    vector = models.BinaryField()

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("atom_vector", atom="memory.Atom"),
            models.UniqueConstraint(fields=["org", "atom", "model"], name="atom_vector_once"),
        ]
        indexes = [models.Index(fields=["org", "model", "id"], name="atom_vector_of_model")]

    def __str__(self) -> str:
        return f"Vector of atom {self.atom_id}"


class ExtractionJob(OrgModel):
    """A source whose text a language model is to read; it carries the id, never the text."""

    source_type = models.CharField(max_length=20)
    source_id = models.BigIntegerField()
    status = FSMField(
        choices=JobStatus.choices, default=JobStatus.WAITING, max_length=8, protected=True, db_index=False
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    failure = models.CharField(max_length=300, blank=True)

    class Meta(OrgModel.Meta):
        constraints = [
            *tenant_constraints("extraction_job"),
            models.UniqueConstraint(fields=["org", "source_type", "source_id"], name="extraction_job_once"),
            models.CheckConstraint(condition=Q(status__in=JobStatus.values), name="extraction_job_status"),
        ]
        indexes = [
            # Cross-tenant: what a worker takes up.
            models.Index(fields=["due_at", "id"], condition=Q(status=JobStatus.WAITING), name="extraction_job_due"),
        ]

    def __str__(self) -> str:
        return f"Extraction of {self.source_type} {self.source_id}"

    @transition(field=status, source=JobStatus.WAITING, target=JobStatus.DONE)
    def finish(self) -> None:
        """The model answered, and what it said was stored or dropped."""
        self.failure = ""

    @transition(field=status, source=JobStatus.WAITING, target=JobStatus.FAILED)
    def give_up(self, *, failure: str) -> None:
        """It failed too often; the deterministic atoms stand."""
        self.failure = failure[:300]

    @transition(field=status, source=[JobStatus.DONE, JobStatus.FAILED], target=JobStatus.WAITING)
    def ask_again(self, *, due_at: datetime) -> None:
        """The source changed."""
        self.attempts, self.due_at = 0, due_at
