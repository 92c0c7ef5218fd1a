"""The ten minutes of the README, block by block, pasted into a real shell against a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail

from flowledger.outbox.drain import drain_all
from flowledger.outbox.emails import send_outgoing_emails
from flowledger.outbox.models import WorkEvent
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Organization, User
from flowledger.tenancy.scope import org_scope
from flowledger.tenancy.services import bootstrap_organization
from workstream.models import Candidate, Engagement, GateCheck, IntakeReject, Proposal, Pursuit, Signal, Task

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SHOWN = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", README, re.DOTALL | re.MULTILINE)]
END = "--- end of block ---"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="needs bash and curl"),
]


class Shell:
    """One bash that keeps its variables from block to block, as a reader's terminal does."""

    def __init__(self, host: str) -> None:
        self.process = subprocess.Popen(
            ["bash", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOST": host, "LC_ALL": "C.UTF-8"},
        )

    def paste(self, block: str) -> str:
        """What the block prints; fails when bash gave up."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{block}\necho; echo '{END}'\n")
        self.process.stdin.flush()
        printed: list[str] = []
        for line in self.process.stdout:
            if line.strip() == END:
                return "".join(printed).strip()
            printed.append(line)
        pytest.fail(f"bash ended: {''.join(printed)}")


@pytest.fixture
def org(settings: Any, transactional_db: None) -> Organization:
    """The README's login, without the demonstration's data."""
    settings.OUTBOX_WAKE = False
    settings.API_THROTTLES = dict.fromkeys(settings.API_THROTTLES, 0)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    org, user = bootstrap_organization(
        name="Brightwater", username="demo-manager", password="flowledger-demo", role=Role.MANAGER
    )
    User.objects.filter(pk=user.pk).update(email="demo-manager@brightwater.example")
    return org


@pytest.fixture
def shell(org: Organization, live_server: Any) -> Iterator[Shell]:
    shell = Shell(live_server.url)
    yield shell
    assert shell.process.stdin
    shell.process.stdin.close()
    shell.process.wait(timeout=10)


@pytest.fixture(autouse=True)
def crossing() -> None:
    """In the place of the suite's own: the server's threads open their scopes, and so does the test."""


def test_the_walk_ends_with_an_engagement(org: Organization, shell: Shell):
    printed = []
    for block in BLOCKS:
        printed.append(shell.paste(block))
        # The reader's worker, between two pastes.
        drain_all()
        send_outgoing_emails()

    everything = "\n".join(printed)
    assert "Traceback" not in everything, everything
    assert "command not found" not in everything, everything
    for shown in SHOWN:
        assert any(shown in _json_in(text) for text in printed), f"nothing answered {shown}"
    assert any(
        answer.get("code") == "gate_blocked" and len(answer["missing_items"]) == 4
        for text in printed
        for answer in _json_in(text)
    )
    with org_scope(org):
        signal = Signal.objects.for_org(org).get(source_ref="form-1001")
        assert list(Signal.objects.for_org(org).exclude(pk=signal.pk).values_list("source_ref", flat=True)) == ["ad-1"]
        reject = IntakeReject.objects.for_org(org).get()
        assert list(reject.errors) == ["urgency_score"]
        candidate = Candidate.objects.for_org(org).get()
        pursuit = Pursuit.objects.for_org(org).get()
        proposal = Proposal.objects.for_org(org).get()
        engagement = Engagement.objects.for_org(org).get()
        assert (signal.disposition, candidate.status, pursuit.stage, proposal.status) == (
            "linked",
            "promoted",
            "won",
            "sent",
        )
        assert proposal.recipients == ["ada@lindqvist-instruments.example"]
        assert engagement.pursuit_id == pursuit.pk
        assert Task.objects.for_org(org).filter(engagement=engagement).count() == 4
        # Blocked once, then passed: submit, red before it, won after it.
        checks = GateCheck.objects.for_org(org).order_by("pk").values_list("gate", "passed")
        assert list(checks) == [("red", True), ("submit", False), ("submit", True), ("won", True)]
        assert not WorkEvent.objects.for_org(org).pending().exists()
    to_contact = [message for message in mail.outbox if message.to == ["ada@lindqvist-instruments.example"]]
    assert len(to_contact) == 1
    assert [message.subject for message in mail.outbox if message.subject.startswith("Won: ")] == [
        "Won: Planning for three plants"
    ]


def _json_in(text: str) -> list[dict[str, Any]]:
    """Every JSON object that stands in what a block printed."""
    decoder = json.JSONDecoder()
    found = []
    position = text.find("{")
    while position >= 0:
        try:
            value, length = decoder.raw_decode(text[position:])
        except ValueError:
            length = 1
        else:
            found.append(value)
        position = text.find("{", position + length)
    return found
