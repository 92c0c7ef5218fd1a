"""Whose events are claimed next: organisations by turns, and a mark per organisation behind which nothing is left."""

from __future__ import annotations

import time
import uuid

from flowledger.outbox import sql

# Looking costs by organisations; when it gets slow it may take this share of the time at most.
_LOOKING_SHARE = 0.05
# How often at least the claim looks at everything again, behind its marks too: rows of transactions that committed
# late, and what was given back. Costly where a long snapshot keeps the dead, so never more than a fiftieth of the time.
_UNBOUNDED_SECONDS = 1.0
_UNBOUNDED_TIMES = 50
_UNBOUNDED_SECONDS_AT_MOST = 30.0


class Turns:
    """The memory of one drain between its claims."""

    def __init__(self) -> None:
        self.waiting = sql.Waiting([], retries=False, crashed=False)
        self._orgs: list[int] = []
        self._last_org = 0
        self._marks: dict[int, int] = {}
        self._look_at = float("-inf")
        self._forget_at = float("-inf")

    @property
    def saw_everything(self) -> bool:
        """Whether the last claim looked behind no mark, so that finding nothing means that there is nothing."""
        return not self._marks

    def forget(self) -> None:
        """Look at everything next time."""
        self._marks.clear()
        self._look_at = float("-inf")

    @property
    def knows_nothing(self) -> bool:
        """Whether looking and claiming can be one statement: it is time to look, and there is no mark to begin from."""
        return not self._marks and time.monotonic() >= self._look_at

    def take(self, *, token: uuid.UUID, limit: int) -> sql.Taken:
        """Look, and claim from the organisations that were seen, in one statement."""
        began = time.monotonic()
        taken = sql.take(token=token, limit=limit, after_org=self._last_org)
        self.waiting = taken.waiting
        self._orgs = list(taken.waiting.orgs)
        ended = time.monotonic()
        self._look_at = ended + (ended - began) / _LOOKING_SHARE
        if self._orgs:
            self._note_unbounded(began, ended)
            self._pass_on(taken.events, taken.left)
        return taken

    def look(self) -> None:
        """Bring `waiting` up to date, unless that was done a moment ago."""
        began = time.monotonic()
        if began >= self._look_at:
            self.waiting = sql.look(after_org=self._last_org)
            self._orgs = list(self.waiting.orgs)
            ended = time.monotonic()
            self._look_at = ended + (ended - began) / _LOOKING_SHARE

    def claim(self, *, token: uuid.UUID, limit: int) -> list[sql.ClaimedEvent]:
        """Claim from the organisations whose turn it is; nothing when none has anything new."""
        if not self._orgs:
            return []
        began = time.monotonic()
        unbounded = began >= self._forget_at
        if unbounded:
            self._marks.clear()
        events, left = sql.claim_fresh(
            token=token, limit=limit, orgs=self._orgs, marks=[self._marks.get(org, 0) for org in self._orgs]
        )
        if unbounded:
            self._note_unbounded(began, time.monotonic())
        self._pass_on(events, left)
        return events

    def _note_unbounded(self, began: float, ended: float) -> None:
        pause = max(_UNBOUNDED_SECONDS, _UNBOUNDED_TIMES * (ended - began))
        self._forget_at = ended + min(pause, _UNBOUNDED_SECONDS_AT_MOST)

    def _pass_on(self, events: list[sql.ClaimedEvent], left: dict[int, int | None]) -> None:
        """The organisation after the last one served is next."""
        if not events:
            self._orgs = []
            self._look_at = float("-inf")
            return
        newest = {event.org_id: event.id for event in events}
        for org, key in left.items():
            self._marks[org] = key or newest.get(org, 0) + 1
        places = {org: place for place, org in enumerate(self._orgs)}
        last = max(places[org] for org in newest)
        self._last_org = self._orgs[last]
        self._orgs = self._orgs[last + 1 :] + self._orgs[: last + 1]
