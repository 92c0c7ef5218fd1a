"""Who gets in, into which organisation, and for how long."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership, User
from flowledger.tenancy.scope import org_scope, system_scope
from tests.backoffice.houses import House

INDEX = "/admin/"
CHOOSER = "/admin/organisations/"
SWITCH = "/admin/organisations/switch/"
KEYS = "/admin/tenancy/apikey/"

Browse = Callable[[User], Client]


def join(house: House, user: User, role: Role = Role.ADMIN) -> None:
    with system_scope("tests"):
        Membership.all_orgs.create(org=house.org, user=user, role=role)


class TestLogIn:
    @pytest.mark.parametrize("path", [INDEX, KEYS, "/admin/tenancy/apikey/1/change/", "/admin/autocomplete/"])
    def test_anonymous_people_are_sent_to_the_log_in_page(self, db, path):
        response = Client().get(path)
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("admin:login"))

    def test_the_root_leads_to_the_back_office(self, db):
        assert Client().get("/")["Location"] == INDEX

    def test_a_password_opens_the_only_organization(self, home):
        user = home.people[Role.REP]
        user.set_password("correct horse battery staple")
        user.save()
        client = Client()
        response = client.post(
            reverse("admin:login"), {"username": user.username, "password": "correct horse battery staple"}, follow=True
        )
        assert response.redirect_chain[-1][0] == INDEX
        assert "Alder" in response.content.decode()

    def test_somebody_without_staff_flag_stays_out(self, home, browse):
        user = home.people[Role.ADMIN]
        user.is_staff = False
        user.save()
        assert browse(user).get(INDEX)["Location"].startswith(reverse("admin:login"))

    def test_the_log_in_page_sends_on_who_is_logged_in(self, admin_client):
        assert admin_client.get(reverse("admin:login"))["Location"] == INDEX

    def test_a_changed_password_keeps_the_session(self, home, browse):
        user = home.people[Role.REP]
        user.set_password("correct horse battery staple")
        user.save()
        client = browse(user)
        response = client.post(
            reverse("admin:password_change"),
            {
                "old_password": "correct horse battery staple",
                "new_password1": "another long sentence",
                "new_password2": "another long sentence",
            },
        )
        assert response["Location"] == reverse("admin:password_change_done")
        assert client.get(INDEX).status_code == 200

    def test_logging_out_ends_the_session(self, as_role):
        client = as_role(Role.REP)
        assert client.get(INDEX).status_code == 200
        assert "logged out" in client.post(reverse("admin:logout")).content.decode().lower()
        assert client.get(INDEX)["Location"].startswith(reverse("admin:login"))


class TestOneOrganization:
    def test_is_entered_without_asking(self, as_role):
        response = as_role(Role.VIEWER).get(INDEX)
        assert response.status_code == 200
        assert "Alder" in response.content.decode()

    def test_nobody_without_membership_gets_further_than_the_chooser(self, home, superuser, browse):
        superuser.is_superuser = False
        superuser.save()
        client = browse(superuser)
        assert client.get(KEYS)["Location"] == CHOOSER
        assert "You belong to no organisation" in client.get(CHOOSER).content.decode()
        assert client.get(reverse("admin:password_change")).status_code == 200
        assert client.post(reverse("admin:logout")).status_code == 200
        assert "_auth_user_id" not in client.session


class TestSeveralOrganizations:
    def test_must_be_chosen_from(self, home, abroad, browse):
        user = home.people[Role.ADMIN]
        join(abroad, user)
        client = browse(user)
        assert client.get(KEYS)["Location"] == CHOOSER
        page = client.get(CHOOSER).content.decode()
        assert "Alder" in page
        assert "Birch" in page

    def test_the_switch_changes_whose_rows_are_seen(self, home, abroad, browse):
        user = home.people[Role.ADMIN]
        join(abroad, user)
        home.key("alder-loader")
        abroad.key("birch-loader")
        client = browse(user)
        assert client.post(SWITCH, {"org": home.org.pk})["Location"] == INDEX
        assert ("alder-loader" in (page := client.get(KEYS).content.decode()), "birch-loader" in page) == (True, False)
        client.post(SWITCH, {"org": abroad.org.pk})
        assert ("alder-loader" in (page := client.get(KEYS).content.decode()), "birch-loader" in page) == (False, True)

    def test_the_role_is_that_of_the_chosen_one(self, home, abroad, browse):
        user = home.people[Role.ADMIN]
        join(abroad, user, Role.VIEWER)
        client = browse(user)
        client.post(SWITCH, {"org": abroad.org.pk})
        assert client.get(KEYS).status_code == 403
        client.post(SWITCH, {"org": home.org.pk})
        assert client.get(KEYS).status_code == 200

    @pytest.mark.parametrize("wanted", ["", "x", "-1", "99999999999999999999999", "²"])
    def test_nonsense_is_not_found(self, admin_client, wanted):
        assert admin_client.post(SWITCH, {"org": wanted}).status_code == 404

    def test_a_strangers_organization_is_not_found_and_noted(self, home, abroad, admin_client, caplog):
        admin_client.get(INDEX)
        with caplog.at_level(logging.WARNING, logger="flowledger.audit"):
            assert admin_client.post(SWITCH, {"org": abroad.org.pk}).status_code == 404
        assert any("organization_refused" in record.getMessage() for record in caplog.records)
        assert admin_client.session["org_id"] == home.org.pk

    def test_is_switched_by_post_only(self, home, admin_client):
        assert admin_client.get(SWITCH, {"org": home.org.pk}).status_code == 405

    def test_needs_a_csrf_token(self, home):
        client = Client(enforce_csrf_checks=True)
        client.force_login(home.people[Role.ADMIN])
        assert client.post(SWITCH, {"org": home.org.pk}).status_code == 403
        assert "org_id" not in client.session

    def test_anonymous_people_cannot_switch(self, home):
        client = Client()
        assert client.post(SWITCH, {"org": home.org.pk})["Location"] == reverse("admin:login")
        assert "org_id" not in client.session


class TestSuperuser:
    def test_must_choose(self, home, superuser, browse):
        join(home, superuser)
        client = browse(superuser)
        assert client.get(INDEX)["Location"] == CHOOSER
        assert client.get(reverse("admin:tenancy_user_changelist"))["Location"] == CHOOSER

    def test_works_as_administrator_of_the_chosen_one(self, home, abroad, superuser, browse):
        home.key("alder-loader")
        abroad.key("birch-loader")
        client = browse(superuser)
        client.post(SWITCH, {"org": abroad.org.pk})
        page = client.get(KEYS).content.decode()
        assert "birch-loader" in page
        assert "alder-loader" not in page

    def test_finds_an_organization_by_part_of_its_name(self, home, abroad, superuser, browse):
        page = browse(superuser).get(CHOOSER, {"q": "irc"}).content.decode()
        assert "Birch" in page
        assert "Alder" not in page

    def test_an_unknown_organization_is_not_found(self, superuser, browse):
        assert browse(superuser).post(SWITCH, {"org": 2**62}).status_code == 404


class TestRevocation:
    def test_ends_a_session_at_the_next_request(self, home, as_role):
        client = as_role(Role.ADMIN)
        assert client.get(KEYS).status_code == 200
        with org_scope(home.org):
            row = home.membership(Role.ADMIN)
            row.is_active = False
            row.save(update_fields=["is_active"])
        response = client.get(KEYS, follow=True)
        assert response.redirect_chain == [(CHOOSER, 302)]
        assert "no longer have access" in response.content.decode()
        assert "org_id" not in client.session

    def test_a_weaker_role_is_felt_at_once(self, home, as_role):
        client = as_role(Role.ADMIN)
        assert client.get(KEYS).status_code == 200
        with org_scope(home.org):
            row = home.membership(Role.ADMIN)
            row.role = Role.VIEWER
            row.save(update_fields=["role"])
        assert client.get(KEYS).status_code == 403

    def test_a_write_with_a_revoked_membership_changes_nothing(self, home, as_role):
        client = as_role(Role.ADMIN)
        client.get(INDEX)
        key = home.key()
        with org_scope(home.org):
            row = home.membership(Role.ADMIN)
            row.is_active = False
            row.save(update_fields=["is_active"])
        client.post(f"{KEYS}{key.pk}/transition/revoke/")
        with org_scope(home.org):
            key.refresh_from_db()
        assert key.revoked_at is None
