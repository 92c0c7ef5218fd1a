"""Every refusal that FlowLedger can answer with, free of HTTP: a sentence, a machine word, a status and details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


class FlowLedgerError(Exception):
    """A refusal that the person or program on the other side can act on.

    `message` is one sentence in the words of the domain. Keyword arguments become further members of the answer.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details

    def as_dict(self) -> dict[str, Any]:
        """The refusal in the one error shape of the API."""
        return {"error": self.message, "code": self.code, **self.details}

    def keep(self) -> None:
        """Write what must outlive the rolled-back use case; called by `use_case` outside of it. Nothing by default."""


class InvalidInput(FlowLedgerError):
    """The input is not acceptable; `fields` maps each field to its sentences."""

    status = 400
    code = "validation_error"

    def __init__(self, message: str, *, fields: Mapping[str, Iterable[str]] | None = None) -> None:
        super().__init__(message, fields={name: list(sentences) for name, sentences in (fields or {}).items()})


class PermissionRefused(FlowLedgerError):
    """The actor's role or ownership does not allow the verb."""

    status = 403
    code = "permission_denied"


class NotFound(FlowLedgerError):
    """No such row in this organisation."""

    status = 404
    code = "not_found"


class Conflict(FlowLedgerError):
    """The request contradicts what is stored."""

    status = 409
    code = "conflict"


class GateBlocked(FlowLedgerError):
    """A legal move is held back by a gate; carries every unmet requirement."""

    status = 409
    code = "gate_blocked"


class Stale(FlowLedgerError):
    """The caller decided on an older version of the row."""

    status = 412
    code = "stale"


class TooLarge(FlowLedgerError):
    """The input is larger than the stated limit."""

    status = 413
    code = "too_large"


class InvalidTransition(FlowLedgerError):
    """The state machine has no such move from the current state."""

    status = 422
    code = "invalid_transition"

    def __init__(self, *, state_machine: str, current_state: str, attempted_state: str, allowed: Iterable[str]) -> None:
        allowed = sorted(allowed)
        choices = ", ".join(allowed) if allowed else "none, this state is final"
        super().__init__(
            f"A {state_machine} cannot go from {current_state} to {attempted_state}; possible next states: {choices}.",
            state_machine=state_machine,
            current_state=current_state,
            attempted_state=attempted_state,
            allowed_transitions=allowed,
        )


class Unavailable(FlowLedgerError):
    """A part that the answer needs is not reachable right now."""

    status = 503
    code = "unavailable"


class UnscopedQueryError(RuntimeError):
    """A tenant model was asked for rows without an organisation."""


class ScopeError(RuntimeError):
    """An organisation scope was opened inside another organisation's scope."""
