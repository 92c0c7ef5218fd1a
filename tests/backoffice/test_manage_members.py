"""Adding members, changing roles, ending access; and what an administrator must not learn or break."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from flowledger.outbox.models import OutgoingEmail
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership, User
from flowledger.tenancy.scope import org_scope

LIST = "/admin/tenancy/membership/"
ADD = f"{LIST}add/"


def members(house):
    with org_scope(house.org):
        rows = Membership.objects.for_org(house.org).select_related("user").order_by("pk")
        return {row.user.username: (row.role, row.is_active) for row in rows}


def emails(house):
    with org_scope(house.org):
        return list(OutgoingEmail.objects.for_org(house.org).order_by("pk"))


def change_form(client, membership, **values):
    link = f"{LIST}{membership.pk}/change/"
    page = client.get(link)
    version = page.context["adminform"].form["row_version"].value()
    return client.post(link, {"row_version": version, **values})


class TestAddMember:
    def test_makes_an_account_without_password_and_invites(self, home, admin_client):
        values = {"email": "New.Person@Example.org ", "first_name": "New", "last_name": "Person", "role": "rep"}
        response = admin_client.post(ADD, values)
        assert response.status_code == 302, response.context["errors"]
        assert members(home)["new.person@example.org"] == ("rep", True)
        user = User.objects.get(username="new.person@example.org")
        assert (user.get_full_name(), user.is_staff, user.is_superuser) == ("New Person", True, False)
        assert not user.has_usable_password()
        [message] = emails(home)
        assert message.to == ["new.person@example.org"]

    def test_the_link_of_the_invitation_lets_them_choose_a_password_once(self, home, admin_client):
        admin_client.post(ADD, {"email": "new@example.org", "role": "viewer"})
        link = re.search(r"http://testserver(/\S+)", emails(home)[0].body)[1]
        visitor = Client()
        page = visitor.get(link, follow=True)
        chosen = {"new_password1": "quite a long sentence", "new_password2": "quite a long sentence"}
        done = visitor.post(page.request["PATH_INFO"], chosen)
        assert done["Location"] == reverse("admin:password_set_done")
        assert visitor.get(done["Location"]).status_code == 200
        assert "used already" in Client().get(link, follow=True).content.decode()
        assert visitor.login(username="new@example.org", password="quite a long sentence")
        assert visitor.get("/admin/").status_code == 200

    def test_the_link_is_not_shown_to_administrators(self, home, admin_client):
        admin_client.post(ADD, {"email": "new@example.org", "role": "viewer"})
        [message] = emails(home)
        page = admin_client.get(f"/admin/outbox/outgoingemail/{message.pk}/change/").content.decode()
        assert "personal link" in page
        assert "password/set" not in page

    def test_finds_the_account_by_address_and_answers_the_same(self, home, abroad, admin_client):
        known = abroad.people[Role.REP]
        known.set_password("quite a long sentence")
        known.save()
        values = {"email": known.email.upper(), "first_name": "Other", "last_name": "Name", "role": "viewer"}
        to_known = admin_client.post(ADD, values)
        to_new = admin_client.post(ADD, {"email": "nobody@example.org", "role": "viewer"})
        assert to_known.status_code == to_new.status_code == 302
        known.refresh_from_db()
        assert (known.first_name, known.is_staff) == ("", True)
        assert members(home)[known.username] == ("viewer", True)
        assert members(abroad)[known.username] == ("rep", True)
        bodies = [message.body for message in emails(home)]
        assert "password you have" in bodies[0]
        assert "/admin/password/set/" in bodies[1]

    def test_is_refused_for_a_member(self, home, admin_client):
        before = members(home)
        response = admin_client.post(ADD, {"email": home.people[Role.REP].email, "role": "admin"})
        assert response.status_code == 200
        assert "member already" in response.content.decode()
        assert members(home) == before
        assert emails(home) == []

    def test_is_refused_for_a_malformed_address(self, home, admin_client):
        before = members(home)
        assert admin_client.post(ADD, {"email": "nobody", "role": "admin"}).context["errors"]
        assert members(home) == before

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.REP, Role.MANAGER])
    def test_is_for_administrators(self, home, as_role, role):
        before = members(home)
        assert as_role(role).post(ADD, {"email": "new@example.org", "role": "admin"}).status_code == 403
        assert members(home) == before
        assert not User.objects.filter(email="new@example.org").exists()


class TestChangeRole:
    def test_is_stored(self, home, admin_client):
        membership = home.membership(Role.REP)
        assert change_form(admin_client, membership, role="manager").status_code == 302
        assert members(home)[home.people[Role.REP].username] == ("manager", True)

    def test_of_the_last_administrator_is_refused_on_the_form(self, home, admin_client):
        response = change_form(admin_client, home.membership(Role.ADMIN), role="rep")
        assert response.status_code == 200
        assert "last administrator" in response.content.decode()
        assert members(home)[home.people[Role.ADMIN].username] == ("admin", True)

    def test_over_an_older_version_is_refused(self, home, admin_client):
        membership = home.membership(Role.REP)
        link = f"{LIST}{membership.pk}/change/"
        version = admin_client.get(link).context["adminform"].form["row_version"].value()
        assert admin_client.post(link, {"row_version": version, "role": "manager"}).status_code == 302
        response = admin_client.post(link, {"row_version": version, "role": "viewer"})
        assert "Somebody else changed this" in response.content.decode()
        assert members(home)[home.people[Role.REP].username] == ("manager", True)

    @pytest.mark.parametrize("version", [{}, {"row_version": ""}, {"row_version": "x"}])
    def test_without_a_version_is_refused(self, home, admin_client, version):
        membership = home.membership(Role.REP)
        response = admin_client.post(f"{LIST}{membership.pk}/change/", {**version, "role": "viewer"})
        assert response.status_code == 200
        assert members(home)[home.people[Role.REP].username] == ("rep", True)

    def test_is_in_the_history_of_the_row(self, home, admin_client):
        membership = home.membership(Role.REP)
        change_form(admin_client, membership, role="manager")
        assert "Changed Role" in admin_client.get(f"{LIST}{membership.pk}/history/").content.decode()


class TestEndAccess:
    def test_by_a_button(self, home, admin_client):
        membership = home.membership(Role.REP)
        page = admin_client.get(f"{LIST}{membership.pk}/change/").content.decode()
        assert "End access" in page
        assert "Let in again" not in page
        response = admin_client.post(f"{LIST}{membership.pk}/transition/deactivate/", follow=True)
        assert "Access ended" in response.content.decode()
        assert members(home)[home.people[Role.REP].username] == ("rep", False)
        admin_client.post(f"{LIST}{membership.pk}/transition/reactivate/")
        assert members(home)[home.people[Role.REP].username] == ("rep", True)

    def test_of_the_last_administrator_is_refused(self, home, admin_client):
        membership = home.membership(Role.ADMIN)
        response = admin_client.post(f"{LIST}{membership.pk}/transition/deactivate/", follow=True)
        assert "last administrator" in response.content.decode()
        assert members(home)[home.people[Role.ADMIN].username] == ("admin", True)

    def test_keeps_the_person_as_owner_of_what_they_had(self, home, admin_client):
        key = home.key()
        with org_scope(home.org):
            key.created_by = home.people[Role.REP]
            key.save(update_fields=["created_by"])
        admin_client.post(f"{LIST}{home.membership(Role.REP).pk}/transition/deactivate/")
        page = admin_client.get(f"/admin/tenancy/apikey/{key.pk}/change/").content.decode()
        assert home.people[Role.REP].username in page


class TestUsers:
    def test_are_the_superusers_business(self, home, superuser, browse, admin_client):
        link = reverse("admin:tenancy_user_changelist")
        assert admin_client.get(link).status_code == 403
        assert admin_client.get(reverse("admin:tenancy_user_change", args=[superuser.pk])).status_code == 403
        client = browse(superuser)
        client.post("/admin/organisations/switch/", {"org": home.org.pk})
        assert client.get(link).status_code == 200
        assert client.get(reverse("admin:tenancy_user_change", args=[superuser.pk])).status_code == 200
        assert client.get(reverse("admin:tenancy_user_add")).status_code == 200
        assert client.get(f"/admin/tenancy/user/{superuser.pk}/password/").status_code == 200

    def test_are_never_deleted(self, home, superuser, browse):
        client = browse(superuser)
        client.post("/admin/organisations/switch/", {"org": home.org.pk})
        victim = home.people[Role.REP]
        assert client.post(f"/admin/tenancy/user/{victim.pk}/delete/", {"post": "yes"}).status_code == 403
        assert User.objects.filter(pk=victim.pk).exists()
