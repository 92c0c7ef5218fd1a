"""An email provider that remembers every idempotency key it was given, and whose first caller dies in the call."""

import os
import signal
from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from tests.faults.parcels import directory, once


class Mailbox(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            with (directory() / "mailbox").open("a") as file:
                file.write(message.extra_headers["X-Idempotency-Key"] + "\n")
            if once("died-mailbox"):
                os.kill(os.getpid(), signal.SIGKILL)
        return len(email_messages)
