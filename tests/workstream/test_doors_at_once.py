"""Deliveries that arrive at the same moment: one signal, whoever comes first."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from flowledger.outbox.models import OutgoingEmail
from flowledger.tenancy.scope import system_scope
from tests.workstream.intake import github_signature, trace_of, web_form, webhook
from tests.workstream.trail import at_once
from workstream.models import FormSubmission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db")]

GIVEN = urlencode({"name": "Ann", "email": "ann@quay.example"})
FORM = "application/x-www-form-urlencoded"


def post(path: str, body: Any, content_type: str = FORM, **headers: str) -> int:
    return Client().post(path, body, content_type=content_type, **headers).status_code


class TestWebhook:
    def test_one_delivery_four_times_is_one_signal_and_three_repeats(self, org):
        source = webhook(org)
        body = json.dumps({"contact_email": "ann@quay.example", "company_name": "Quay Works"}).encode()
        path = f"/api/in/webhooks/{source.token}"
        headers = {"HTTP_X_HUB_SIGNATURE_256": github_signature(body)}
        answers = at_once(*(partial(post, path, body, "application/json", **headers) for _ in range(4)))

        assert list(answers) == [200] * 4
        assert trace_of(org) == (1, 3, 0, 0)

    def test_one_forgery_four_times_is_one_reject(self, org):
        source = webhook(org)
        path = f"/api/in/webhooks/{source.token}"
        answers = at_once(*(partial(post, path, b"{}", "application/json") for _ in range(4)))

        assert list(answers) == [401] * 4
        assert trace_of(org) == (0, 0, 4, 0)


class TestForm:
    def test_a_click_that_went_four_times_is_one_signal(self, org):
        path = f"/api/in/forms/{web_form(org).token}"
        answers = at_once(*(partial(post, path, GIVEN) for _ in range(4)))

        assert list(answers) == [200] * 4
        assert trace_of(org) == (1, 3, 0, 0)

    def test_asks_once_and_confirms_once(self, org):
        source = web_form(org, double_opt_in=True)
        answers = at_once(*(partial(post, f"/api/in/forms/{source.token}", GIVEN) for _ in range(4)))
        assert list(answers) == [200] * 4
        with system_scope("tests"):
            (mail,) = OutgoingEmail.all_orgs.filter(org=org)
            assert FormSubmission.all_orgs.filter(org=org).count() == 1
        (link,) = re.findall(r"http://testserver(/forms/\S+)", mail.body)

        clicks = at_once(*(partial(post, link, b"") for _ in range(4)))
        assert list(clicks) == [200] * 4
        assert trace_of(org) == (1, 0, 0, 1)
