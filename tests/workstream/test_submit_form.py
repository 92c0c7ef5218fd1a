"""Public web forms: who may send them, what a submission becomes, and what robots learn."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils.timezone import now

from flowledger.errors import NotFound
from flowledger.outbox.models import OutgoingEmail
from tests.client import ApiClient
from tests.workstream.factories import AT, CLERK
from tests.workstream.intake import make_source, payload_of, rejects_of, repeats_of, signals_of, trace_of, web_form
from tests.workstream.trail import nothing_changes
from workstream import services
from workstream.intake.form_reading import MAX_FORM_BYTES
from workstream.models import FormSubmission, IntakeSource
from workstream.services import web_forms
from workstream.services.web_forms import Confirmation, FormPost, FormRefused
from workstream.tasks import purge_form_submissions

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"
SITE = "https://www.harbour.example"
GIVEN = {"name": "Ann Archer", "email": "Ann@Quay.Example", "company": "Quay Works", "message": "Please call me"}


def send(source: IntakeSource, inputs: Any = None, content_type: str = FORM, **headers: str) -> Any:
    given = GIVEN if inputs is None else inputs
    body = given if isinstance(given, bytes) else urlencode(given)
    return ApiClient().post(f"/api/in/forms/{source.token}", body, content_type=content_type, **headers)


class TestSubmission:
    def test_becomes_a_signal_with_everything_that_was_said(self, org):
        source = web_form(
            org,
            fields=[
                {"name": "name", "label": "Name", "target": "contact_name", "is_required": True},
                {"name": "email", "label": "Email", "kind": "email", "target": "contact_email", "is_required": True},
                {"name": "size", "label": "Size", "kind": "select", "choices": ["1-10", "11+"]},
                {"name": "news", "label": "News", "kind": "checkbox"},
                {"name": "message", "label": "Message", "kind": "textarea", "target": "snippet"},
            ],
            hidden={"campaign": "Spring"},
            consent_text="You may write to me.",
        )
        answer = send(
            source,
            {
                **GIVEN,
                "size": "11+",
                "news": "yes",
                "consent": "yes",
                "utm_source": "ads",
                "unknown": "kept in the bytes",
            },
            HTTP_REFERER="https://www.harbour.example/contact",
        )

        assert answer.status_code == 200, answer.content
        assert answer.json() == {
            "accepted": True,
            "confirm": False,
            "message": "Thank you. We will be in touch soon.",
            "redirect_url": "",
        }
        (signal,) = signals_of(org)
        assert (signal.source_type, signal.contact_name, signal.contact_email, signal.snippet) == (
            "web_form",
            "Ann Archer",
            "ann@quay.example",
            "Please call me",
        )
        consent = signal.attributes.pop("consent")
        assert signal.attributes == {
            "form": "Contact page",
            "size": "11+",
            "news": True,
            "campaign": "Spring",
            "utm_source": "ads",
            "page": "https://www.harbour.example/contact",
        }
        assert (consent["given"], consent["text"]) == (True, "You may write to me.")
        assert datetime.fromisoformat(consent["at"]).tzinfo is not None
        assert b"kept+in+the+bytes" in bytes(payload_of(signal).body)
        assert signal.contact_id is not None

    @pytest.mark.parametrize("shape", ["json", "multipart", "latin-1", "utf-8"])
    def test_takes_every_shape(self, org, shape):
        source = web_form(org)
        given = {**GIVEN, "name": "Zoë Müller"}
        if shape == "json":
            answer = send(source, json.dumps(given).encode(), "application/json")
        elif shape == "multipart":
            answer = Client().post(f"/api/in/forms/{source.token}", given)
        else:
            answer = send(source, urlencode(given, encoding=shape).encode())

        assert answer.status_code == 200, answer.content
        assert [(s.contact_name, s.contact_email) for s in signals_of(org)] == [("Zoë Müller", "ann@quay.example")]

    def test_a_click_that_went_twice_is_a_repeat_and_another_day_is_not(self, org):
        source = web_form(org)

        def submit(at: datetime) -> Any:
            post = FormPost(urlencode(GIVEN).encode(), FORM)
            return services.submit_form(org=org, source_id=source.pk, post=post, actor=CLERK, at=at)

        submit(AT)
        submit(AT + timedelta(seconds=1))
        assert (len(signals_of(org)), repeats_of(org)) == (1, 1)
        submit(AT + timedelta(days=1))
        assert (len(signals_of(org)), repeats_of(org)) == (2, 1)

    def test_a_long_message_is_cut_for_the_list_and_kept_whole(self, org):
        source = web_form(org)
        text = "A long story. " * 200
        send(source, {**GIVEN, "message": text})

        (signal,) = signals_of(org)
        assert len(signal.snippet) <= 1000
        assert signal.attributes["message"] == text.strip()


class TestRefusals:
    @pytest.mark.parametrize(
        ("inputs", "field", "sentence"),
        [
            ({**GIVEN, "name": " "}, "name", "Please fill this in."),
            ({"email": "ann@quay.example"}, "name", "Please fill this in."),
            ({**GIVEN, "email": "ann"}, "email", "Please write a whole email address, for example ann@example.com."),
            ({**GIVEN, "message": "x" * 20_001}, "message", "Please write at most 20,000 characters."),
        ],
    )
    def test_say_what_to_mend_and_keep_what_came(self, org, inputs, field, sentence):
        source = web_form(org)
        answer = send(source, inputs)

        assert answer.status_code == 400
        assert answer.json()["fields"] == {field: [sentence]}
        assert signals_of(org) == []
        (reject,) = rejects_of(org)
        assert (reject.code, reject.channel, reject.errors) == ("validation_error", "form", {field: [sentence]})
        assert bytes(reject.body) == urlencode(inputs).encode()

    @pytest.mark.parametrize(
        ("body", "content_type", "code"),
        [
            (b"not json", "application/json", "invalid_json"),
            (b"[1]", "application/json", "invalid_json"),
            (b'{"name": {"first": "Ann"}}', "application/json", "invalid_json"),
            (b"<form/>", "text/xml", "unsupported_media_type"),
            (b"x", "multipart/form-data", "invalid_multipart"),
            (b"x", "multipart/form-data; boundary=b", "validation_error"),
            (b"&".join(b"a%d=1" % n for n in range(201)), FORM, "too_many_inputs"),
        ],
    )
    def test_keep_what_is_no_form(self, org, body, content_type, code):
        source = web_form(org)
        answer = send(source, body, content_type)

        assert answer.status_code == 400, answer.content
        assert signals_of(org) == []
        assert [(reject.code, bytes(reject.body)) for reject in rejects_of(org)] == [(code, body)]

    def test_of_files(self, org):
        source = web_form(org)
        body = (
            b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nAnn\r\n'
            b'--b\r\nContent-Disposition: form-data; name="cv"; filename="cv.pdf"\r\n\r\n%PDF\r\n--b--\r\n'
        )
        answer = send(source, body, "multipart/form-data; boundary=b")
        assert answer.json()["error"] == "This form takes no files; send the text alone."
        assert [reject.code for reject in rejects_of(org)] == ["file_refused"]

    def test_without_the_consent_that_is_needed(self, org):
        source = web_form(org, consent_text="You may write to me.")
        assert list(send(source).json()["fields"]) == ["consent"]
        assert send(source, {**GIVEN, "consent": "no"}).status_code == 400
        assert signals_of(org) == []

        free = make_source(org, "web_form", {"consent_text": "News?", "consent_is_required": False}, name="Free form")
        assert send(free).status_code == 200
        (signal,) = signals_of(org)
        assert signal.attributes["consent"]["given"] is False

    def test_a_body_beyond_the_limit(self, org):
        source = web_form(org)
        with nothing_changes():
            assert send(source, b"a" * (MAX_FORM_BYTES + 1)).status_code == 413

    def test_do_not_fill_the_store(self, org, monkeypatch):
        monkeypatch.setattr(web_forms, "MOST_KEPT", 2)
        source = web_form(org)
        answers = [send(source, {"name": str(n)}) for n in range(4)]
        assert [answer.status_code for answer in answers] == [400, 400, 429, 429]
        assert len(rejects_of(org)) == 2
        assert send(source).status_code == 200


class TestRobots:
    def test_learn_nothing_from_the_answer(self, org):
        source = web_form(org)
        person, robot = send(source), send(source, {**GIVEN, "website_address": "https://spam.example"})

        assert (robot.status_code, robot.json()) == (person.status_code, person.json())
        assert len(signals_of(org)) == 1
        assert [(reject.code, reject.fields["contact_name"]) for reject in rejects_of(org)] == [
            ("honeypot", "Ann Archer")
        ]

    def test_that_were_none_can_be_let_in(self, org):
        source = web_form(org)
        send(source, {**GIVEN, "website_address": "https://quay.example"})
        (reject,) = rejects_of(org)
        services.replay_reject(org=org, reject_id=reject.pk, actor=CLERK, at=AT)
        assert [signal.contact_email for signal in signals_of(org)] == ["ann@quay.example"]

    def test_are_slowed_down_per_address_and_form(self, org):
        source = make_source(org, "web_form", {"per_minute": 2})
        other = make_source(org, "web_form", {"per_minute": 2}, name="Other form")
        answers = [send(source, {**GIVEN, "message": str(n)}) for n in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert int(answers[2].headers["Retry-After"]) >= 1
        assert len(signals_of(org)) == 2
        assert send(source, REMOTE_ADDR="192.0.2.7").status_code == 200
        assert send(other).status_code == 200


class TestOrigins:
    def test_an_allowed_page_may_send_and_read_the_answer(self, org):
        source = web_form(org, allowed_origins=[f"{SITE}/"])
        taken, refused = send(source, HTTP_ORIGIN=SITE), send(source, {}, HTTP_ORIGIN=SITE)

        assert (taken.status_code, refused.status_code) == (200, 400)
        for answer in (taken, refused):
            assert answer.headers["Access-Control-Allow-Origin"] == SITE
            assert "Origin" in answer.headers["Vary"]

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", "http://www.harbour.example", f"{SITE}.evil.example", f"{SITE}:8443"]
    )
    def test_any_other_may_not(self, org, origin):
        source = web_form(org, allowed_origins=[SITE])
        with nothing_changes():
            answer = send(source, HTTP_ORIGIN=origin)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers

    def test_without_an_origin_it_is_no_page_of_somebody_else(self, org):
        assert send(web_form(org, allowed_origins=[SITE])).status_code == 200

    def test_preflight(self, org):
        source = web_form(org, allowed_origins=[SITE])
        path = f"/api/in/forms/{source.token}"
        allowed = Client().options(path, HTTP_ORIGIN=SITE, HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST")
        foreign = Client().options(path, HTTP_ORIGIN="https://evil.example")

        assert (allowed.status_code, allowed.content) == (204, b"")
        assert allowed.headers["Access-Control-Allow-Origin"] == SITE
        assert allowed.headers["Access-Control-Allow-Methods"] == "POST"
        assert allowed.headers["Access-Control-Allow-Headers"] == "Content-Type"
        assert "Access-Control-Allow-Credentials" not in allowed.headers
        assert foreign.status_code == 403
        assert "Access-Control-Allow-Origin" not in foreign.headers
        assert Client().options("/api/in/forms/1-nothing", HTTP_ORIGIN=SITE).status_code == 404


class _Form(HTMLParser):
    """What a browser sees: the form, its inputs with their values, every script and link."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in tags]


class TestHostedPage:
    def page(self, source: IntakeSource) -> Any:
        return Client().get(f"/forms/{source.token}")

    def test_shows_the_form_without_a_script(self, org):
        source = web_form(org, title="Talk to us", intro="We answer within a day.", allowed_origins=[SITE])
        answer = self.page(source)
        seen = _Form(answer.content.decode())

        assert answer.status_code == 200
        assert [each["name"] for each in seen.of("input", "textarea")] == [
            "_submission",
            "name",
            "email",
            "company",
            "message",
            "website_address",
        ]
        assert seen.of("form") == [{"action": f"/forms/{source.token}", "method": "post", "accept-charset": "utf-8"}]
        assert seen.of("script", "link", "img") == []
        assert answer.headers["Cache-Control"] == "no-store"
        assert f"frame-ancestors 'self' {SITE}" in answer.headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in answer.headers
        assert self.page(make_source(org, "web_form", name="Bare")).headers["X-Frame-Options"] == "DENY"

    def test_sends_it_and_goes_on_to_a_page_of_thanks(self, org):
        source = web_form(org, thank_you="Thanks, Ann.")
        hidden = _Form(self.page(source).content.decode()).of("input")[0]["value"]
        answer = Client(enforce_csrf_checks=True).post(f"/forms/{source.token}", {**GIVEN, "_submission": hidden})

        assert answer.status_code == 303
        assert b"Thanks, Ann." in Client().get(answer.headers["Location"]).content
        assert len(signals_of(org)) == 1

    def test_goes_on_to_the_address_of_the_owner(self, org):
        source = web_form(org, redirect_url="https://www.harbour.example/thanks?a=1")
        answer = Client().post(f"/forms/{source.token}", GIVEN)
        assert (answer.status_code, answer.headers["Location"]) == (303, "https://www.harbour.example/thanks?a=1")
        policy = self.page(source).headers["Content-Security-Policy"]
        assert "form-action 'self' https://www.harbour.example;" in policy

    def test_shows_again_what_was_typed_with_what_is_wrong(self, org):
        source = web_form(org)
        answer = Client().post(f"/forms/{source.token}", {**GIVEN, "email": '"><script>alert(1)</script>'})
        seen = _Form(answer.content.decode())

        assert answer.status_code == 400
        assert {each["name"]: each.get("value") for each in seen.of("input")}["name"] == "Ann Archer"
        assert {each["name"]: each.get("value") for each in seen.of("input")}["email"] == '"><script>alert(1)</script>'
        assert seen.of("script") == []
        assert "Please write a whole email address" in answer.content.decode()
        assert len(rejects_of(org)) == 1

    def test_refuses_foreign_pages(self, org):
        source = web_form(org)
        with nothing_changes():
            assert Client().post(f"/forms/{source.token}", GIVEN, HTTP_ORIGIN="https://evil.example").status_code == 403
        assert Client().post(f"/forms/{source.token}", GIVEN, HTTP_ORIGIN="http://testserver").status_code == 303

    def test_an_unknown_one_is_not_found(self, org):
        assert Client().get("/forms/1-nothing").status_code == 404
        assert Client().get(f"/forms/{make_source(org, 'webhook', name='Hook').token}").status_code == 404


class TestSnippet:
    NASTY = '"><script>alert(1)</script>{{ 7 }}'

    def test_is_a_form_for_other_pages(self, org, as_manager):
        source = web_form(org)
        answer = as_manager.get(f"/api/intake/sources/{source.pk}/snippet").json()
        seen = _Form(answer["html"])

        assert answer["page"] == f"http://testserver/forms/{source.token}"
        assert seen.of("form") == [{"action": answer["page"], "method": "post", "accept-charset": "utf-8"}]
        assert [each["name"] for each in seen.of("input", "textarea")][-1] == "website_address"

    def test_no_text_becomes_markup(self, org, as_manager):
        fields = [
            {"name": "a", "label": self.NASTY, "placeholder": self.NASTY},
            {"name": "b", "label": "B", "kind": "select", "choices": [self.NASTY, "</select><img src=x>"]},
            {"name": "c", "label": self.NASTY, "kind": "checkbox"},
            {"name": "d", "label": "D", "kind": "textarea", "placeholder": "</textarea><script>"},
        ]
        source = web_form(
            org,
            fields=fields,
            title=self.NASTY,
            submit_label="</button><script>x",
            consent_text=self.NASTY,
            intro=self.NASTY,
        )
        html = as_manager.get(f"/api/intake/sources/{source.pk}/snippet").json()["html"]
        hosted = Client().get(f"/forms/{source.token}").content.decode()

        for text in (html, hosted):
            seen = _Form(text)
            assert seen.of("script", "img") == []
            assert {name for _, each in seen.tags for name in each if name.startswith("on")} == set()
        assert unescape(re.findall(r'placeholder="([^"]*)"', html)[0]) == self.NASTY

    def test_only_of_web_forms(self, org, as_manager):
        hook = make_source(org, "webhook", name="Hook")
        assert as_manager.get(f"/api/intake/sources/{hook.pk}/snippet").status_code == 404


class TestDoubleOptIn:
    def ask(self, org: Any, **options: Any) -> tuple[IntakeSource, str]:
        """A form with double opt-in that was sent, and the path of the link in the email."""
        source = web_form(org, double_opt_in=True, **options)
        answer = send(source)
        assert answer.json()["confirm"] is True, answer.content
        (mail,) = OutgoingEmail.all_orgs.filter(org=org)
        assert mail.to == ["ann@quay.example"]
        assert "Please call me" not in mail.body
        (link,) = re.findall(r"http://testserver(/forms/\S+)", mail.body)
        return source, link

    def test_makes_no_signal_before_the_click(self, org):
        source, link = self.ask(org)

        assert signals_of(org) == []
        (waiting,) = FormSubmission.all_orgs.filter(org=org)
        assert waiting.token_sha256 not in link
        assert waiting.expires_at - waiting.received_at == timedelta(hours=48)
        assert waiting.source == source

    def test_looking_at_the_link_confirms_nothing_and_the_button_does(self, org):
        _, link = self.ask(org)
        with nothing_changes():
            looked = Client().get(link)
            Client().head(link)
        assert looked.status_code == 200
        assert _Form(looked.content.decode()).of("form") == [{"method": "post", "action": link}]

        clicked = Client(enforce_csrf_checks=True).post(link)
        assert clicked.status_code == 200
        assert b"Thank you." in clicked.content
        (signal,) = signals_of(org)
        waiting = FormSubmission.all_orgs.get(org=org)
        assert (signal.contact_email, waiting.signal_id) == ("ann@quay.example", signal.pk)
        assert signal.ts == waiting.received_at
        assert datetime.fromisoformat(signal.attributes["confirmed_at"]) == waiting.confirmed_at
        assert bytes(payload_of(signal).body) == urlencode(GIVEN).encode()

    def test_clicking_twice_changes_nothing(self, org):
        _, link = self.ask(org)
        Client().post(link)
        with nothing_changes():
            again = Client().post(link)
            looked = Client().get(link)
        assert (again.status_code, looked.status_code) == (200, 200)

    def test_the_link_ends(self, org):
        source, link = self.ask(org, confirm_within_hours=1)
        secret = link.rpartition("/")[2]
        late = now() + timedelta(hours=2)
        with nothing_changes():
            found = services.confirm_submission(org=org, source_id=source.pk, secret=secret, actor=CLERK, at=late)
        assert found is Confirmation.EXPIRED
        FormSubmission.all_orgs.filter(org=org).update(expires_at=now())
        assert Client().get(link).status_code == 410
        assert Client().post(link).status_code == 410
        assert signals_of(org) == []

    def test_a_wrong_secret_is_nobodys(self, org, other_org):
        source, link = self.ask(org)
        other = make_source(org, "web_form", name="Other form")
        with nothing_changes():
            assert Client().post(f"{link}x").status_code == 404
            assert Client().post(link.replace(source.token, other.token)).status_code == 404
            with pytest.raises(NotFound):
                services.confirm_submission(
                    org=other_org, source_id=source.pk, secret=link.rpartition("/")[2], actor=CLERK, at=AT
                )

    def test_the_same_submission_asks_once_and_nobody_is_flooded(self, org):
        source, _ = self.ask(org)
        with nothing_changes():
            assert send(source).json()["confirm"] is True
        answers = [send(source, {**GIVEN, "message": str(n)}) for n in range(web_forms.MOST_QUESTIONS)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
        assert OutgoingEmail.all_orgs.filter(org=org).count() == web_forms.MOST_QUESTIONS

    def test_robots_get_the_same_answer_and_no_email(self, org):
        source, _ = self.ask(org)
        answer = send(source, {**GIVEN, "website_address": "x"})
        assert (answer.status_code, answer.json()["confirm"]) == (200, True)
        assert OutgoingEmail.all_orgs.filter(org=org).count() == 1
        assert trace_of(org) == (0, 0, 1, 1)

    def test_the_page_says_to_look_into_the_mailbox(self, org):
        source = web_form(org, double_opt_in=True, redirect_url="https://www.harbour.example/thanks")
        answer = Client().post(f"/forms/{source.token}", GIVEN)
        assert answer.headers["Location"] == f"/forms/{source.token}/done/asked"
        assert b"We have sent you an email" in Client().get(answer.headers["Location"]).content

    def test_what_nobody_confirmed_is_forgotten(self, org):
        _, link = self.ask(org)
        FormSubmission.all_orgs.filter(org=org).update(expires_at=AT)
        assert web_forms.purge_submissions(org=org, at=AT - timedelta(seconds=1)) == 0
        assert web_forms.purge_submissions(org=org, at=AT) == 1
        assert Client().get(link).status_code == 404


class TestUseCase:
    def test_a_refusal_keeps_the_reject_and_nothing_else(self, org):
        source = web_form(org)
        with pytest.raises(FormRefused) as refusal:
            services.submit_form(org=org, source_id=source.pk, post=FormPost(b"name=", FORM), actor=CLERK, at=AT)
        assert set(refusal.value.details["fields"]) == {"name", "email"}
        assert trace_of(org) == (0, 0, 1, 0)

    def test_a_strangers_form_does_not_exist(self, org, other_org):
        source = web_form(other_org)
        with nothing_changes(), pytest.raises(NotFound):
            services.submit_form(org=org, source_id=source.pk, post=FormPost(b"", FORM), actor=CLERK, at=AT)


class TestPurge:
    def test_forgets_what_nobody_confirmed_a_month_after_its_link_ended(self, org, other_org):
        sources = [web_form(each, double_opt_in=True) for each in (org, other_org)]
        for source in sources:
            assert send(source).status_code == 200
        assert purge_form_submissions() == 0
        rows = FormSubmission.all_orgs.filter(source__in=sources)
        rows.update(expires_at=now() - timedelta(days=29))
        assert purge_form_submissions() == 0
        rows.update(expires_at=now() - timedelta(days=30))
        assert purge_form_submissions() == 2
        assert not rows.exists()
