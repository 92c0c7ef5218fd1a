"""CSV rows that enter and change contacts and clients, their identity keys in step, nobody's address taken."""

from __future__ import annotations

from decimal import Decimal

import pytest

from flowledger.clients import services as clients
from flowledger.clients.models import Client, Contact, IdentityKey
from flowledger.errors import InvalidInput
from tests.workstream.csv_imports import AT, CLERK, counts, errors, imported, outcomes, start, text_of, upload
from workstream import services
from workstream.models import ImportChange

pytestmark = pytest.mark.django_db

CONTACTS = ["First name", "Last name", "Email", "Phone", "Position", "Company", "Website"]


def contact(org, **fields):
    return clients.create_contact(org=org, fields=fields, actor=CLERK, at=AT)


def client(org, **fields):
    return clients.create_client(org=org, fields=fields, actor=CLERK, at=AT)


def keys_of(org, row):
    name = row._meta.model_name
    keys = IdentityKey.objects.for_org(org).filter(**{name: row.pk})
    return dict(keys.order_by("key_type", "key_value").values_list("key_type", "key_value"))


class TestContacts:
    def test_are_entered_with_their_companies(self, org):
        run = imported(
            org,
            text_of(
                CONTACTS,
                [
                    ["Ann", "Arbor", "ann@acme.example", "+4930123456", "CEO", "Acme GmbH", "acme.example"],
                    ["Bob", "Bay", "bob@acme.example", "+4930123456", "", "ACME", ""],
                    ["Cid", "", "", "+4930999999", "", "", ""],
                ],
            ),
            kind="contacts",
        )

        assert counts(run) == (3, 0, 0, 0)
        acme = Client.objects.for_org(org).get()
        assert (acme.name, acme.domain) == ("Acme GmbH", "acme.example")
        ann, bob, cid = Contact.objects.for_org(org).order_by("pk")
        assert [ann.name, ann.title, ann.client_id, bob.client_id, cid.client_id] == [
            *("Ann Arbor", "CEO", acme.pk, acme.pk, None)
        ]
        assert keys_of(org, ann) == {"email": "ann@acme.example", "phone": "+4930123456"}
        # The number is Ann's already: it is shared, and stays hers.
        assert keys_of(org, bob) == {"email": "bob@acme.example"}
        assert keys_of(org, acme) == {"company_domain": "acme.example", "company_name": "acme"}
        assert not IdentityKey.objects.for_org(org).filter(status="unresolved").exists()

    def test_the_next_signal_finds_them(self, org):
        imported(org, text_of(CONTACTS, [["Ann", "Arbor", "ann@acme.example", "", "", "Acme", ""]]), kind="contacts")
        signal = services.create_signal(
            org=org, fields={"source_type": "note", "contact_email": "ANN@acme.example"}, actor=CLERK, at=AT
        ).signal

        assert signal.contact_id == Contact.objects.for_org(org).get().pk

    def test_create_only_changes_nobody(self, org):
        ann = contact(org, name="Ann", email="ann@acme.example")
        body = text_of(
            ["Name", "Email", "Position"],
            [["Ann", "ann@acme.example", ""], ["Anna", "ann@acme.example", "CEO"], ["Bob", "bob@acme.example", ""]],
        )
        run = imported(org, body, kind="contacts")

        assert outcomes(org, run) == ["unchanged", "rejected", "created"]
        assert errors(org, run)[2] == {
            "": [f"This is contact {ann.pk} already; this import changes nothing (name, title)."]
        }
        ann.refresh_from_db()
        assert (ann.name, ann.title, ann.row_version) == ("Ann", "", 1)

    def test_update_only_enters_nobody(self, org):
        ann = contact(org, name="Ann", email="ann@acme.example", phone="+4930123456")
        body = text_of(
            ["Name", "Email", "Phone", "Company"],
            [
                ["Ann Arbor", "ann@acme.example", "+4930777777", ""],
                ["Bob", "bob@acme.example", "", ""],
                ["Ann Arbor", "ann@acme.example", "", "Nowhere Ltd"],
            ],
        )
        run = imported(org, body, kind="contacts", mode="update")

        assert outcomes(org, run) == ["updated", "rejected", "rejected"]
        ann.refresh_from_db()
        # A blank cell leaves what is there.
        assert (ann.name, ann.phone, ann.row_version) == ("Ann Arbor", "+4930777777", 2)
        assert keys_of(org, ann) == {"email": "ann@acme.example", "phone": "+4930777777"}
        assert not IdentityKey.objects.for_org(org).filter(key_value="+4930123456").exists()
        assert not Client.objects.for_org(org).exists()
        change = ImportChange.objects.for_org(org).get(run=run)
        assert change.before == {"name": "Ann", "phone": "+4930123456"}
        assert change.after == {"name": "Ann Arbor", "phone": "+4930777777"}
        assert change.version_after == 2

    def test_nobodys_address_is_taken(self, org):
        ann = contact(org, name="Ann", email="ann@acme.example")
        bob = contact(org, name="Bob", email="bob@acme.example")
        body = text_of(
            ["Contact ID", "Email"],
            [[bob.pk, "ann@acme.example"], [bob.pk, "bob@bay.example"], [987654, "x@y.example"]],
        )
        run = imported(org, body, kind="contacts", mode="upsert")

        assert outcomes(org, run) == ["rejected", "updated", "rejected"]
        assert errors(org, run)[1] == {
            "email": [f"ann@acme.example already belongs to contact {ann.pk}; merge the two or leave it out."]
        }
        assert errors(org, run)[3] == {"contact_id": ["There is no contact 987654."]}
        assert keys_of(org, ann) == {"email": "ann@acme.example"}
        assert keys_of(org, bob) == {"email": "bob@bay.example"}

    def test_rows_of_one_file_follow_each_other(self, org):
        """The second row of an address is about the contact of the first; what one lets go, the next may take."""
        ann = contact(org, name="Ann", email="ann@acme.example")
        body = text_of(
            ["Contact ID", "Name", "Email"],
            [
                [ann.pk, "Ann", "anna@acme.example"],
                ["", "Other Ann", "ann@acme.example"],
                ["", "Other Ann Arbor", "ann@acme.example"],
                ["", "Other Ann", "ANN+1@acme.example"],
            ],
        )
        run = imported(org, body, kind="contacts", mode="upsert")

        assert outcomes(org, run) == ["updated", "created", "updated", "created"]
        ann.refresh_from_db()
        other = Contact.objects.for_org(org).get(email="ann@acme.example")
        assert (ann.email, other.name) == ("anna@acme.example", "Other Ann Arbor")
        assert keys_of(org, other) == {"email": "ann@acme.example"}

    def test_the_same_file_again_changes_nothing(self, org):
        body = text_of(
            CONTACTS,
            [
                ["Ann", "Arbor", "ann@acme.example", "+4930123456", "CEO", "Acme", ""],
                ["Bob", "Bay", "", "+4930777777", "", "Bay Ltd", ""],
                ["Cid", "Cay", "", "", "", "Bay Ltd", ""],
                ["Dan", "Day", "", "", "", "", ""],
            ],
        )
        assert counts(imported(org, body, kind="contacts", mode="upsert")) == (4, 0, 0, 0)
        assert counts(imported(org, body, kind="contacts", mode="upsert")) == (0, 0, 4, 0)
        assert Contact.objects.for_org(org).count() == 4

    def test_each_wrong_cell_is_named(self, org):
        body = text_of(
            ["Name", "Email", "Phone", "Active", "Client ID"],
            [
                ["A", "no address", "", "", ""],
                ["B", "", "12", "", ""],
                ["C", "", "", "perhaps", ""],
                ["D" * 201, "", "", "", ""],
                ["E", "", "", "no", "99999"],
                ["", "", "", "yes", ""],
            ],
        )
        run = imported(org, body, kind="contacts")

        assert {number: list(found) for number, found in errors(org, run).items()} == {
            1: ["email"],
            2: ["phone"],
            3: ["is_active"],
            4: ["name"],
            5: ["client_id"],
            6: ["name"],
        }
        assert not Contact.objects.for_org(org).exists()

    def test_members_of_objects_join_what_is_there(self, org):
        ann = contact(org, name="Ann", email="ann@acme.example", social_links={"site": "https://ann.example"})
        run = upload(org, text_of(["Email", "LinkedIn"], [["ann@acme.example", "in/ann"]]), kind="contacts")
        start(org, run, mapping={"Email": "email", "LinkedIn": "social_links.linkedin"}, mode="upsert")
        from tests.workstream.csv_imports import work

        assert counts(work(org, run)) == (0, 1, 0, 0)
        ann.refresh_from_db()
        assert ann.social_links == {"site": "https://ann.example", "linkedin": "in/ann"}

    def test_an_update_needs_a_column_that_tells_which(self, org):
        run = upload(org, text_of(["Name"], [["Ann"]]), kind="contacts")
        with pytest.raises(InvalidInput, match="map a column to one of: contact_id, email"):
            start(org, run, mode="update")

    def test_others_contacts_do_not_exist(self, org, other_org, crossing):
        stranger = contact(other_org, name="Sam", email="sam@acme.example")
        run = imported(
            org,
            text_of(["Contact ID", "Email"], [[stranger.pk, "x@y.example"], ["", "sam@acme.example"]]),
            kind="contacts",
            mode="upsert",
        )

        assert outcomes(org, run) == ["rejected", "created"]


class TestClients:
    def test_are_entered_in_the_spellings_of_the_wild(self, org):
        run = imported(
            org,
            text_of(
                ["Firma", "Webseite", "Branche", "Mitarbeiter", "Umsatz", "Land"],
                [
                    ["Acme GmbH", "https://www.acme.example/about", "Packing", "120", "1.250.000,50", "de"],
                    ["Bay Ltd", "", "", "51-200", "", ""],
                ],
                delimiter=";",
            ),
            kind="clients",
        )

        assert counts(run) == (2, 0, 0, 0)
        acme = Client.objects.for_org(org).get(domain="acme.example")
        assert (acme.name, acme.industry, acme.size_band, acme.annual_revenue, acme.country) == (
            *("Acme GmbH", "Packing", "51-200", Decimal("1250000.50"), "DE"),
        )
        assert keys_of(org, acme) == {"company_domain": "acme.example", "company_name": "acme"}

    def test_are_found_by_domain_then_name_and_changed(self, org):
        acme = client(org, name="Acme", domain="acme.example")
        bay = client(org, name="Bay Ltd")
        run = imported(
            org,
            text_of(
                ["Name", "Domain", "Country"],
                [
                    ["Acme Group", "acme.example", "DE"],
                    ["BAY Limited", "bay.example", "GB"],
                    ["Bay Ltd", "other-bay.example", ""],
                    ["", "nameless.example", ""],
                ],
            ),
            kind="clients",
            mode="upsert",
        )

        # The third has another domain than the client of its name: it is another company.
        assert outcomes(org, run) == ["updated", "updated", "created", "rejected"]
        acme.refresh_from_db()
        bay.refresh_from_db()
        assert (acme.name, acme.country, bay.name, bay.domain) == ("Acme Group", "DE", "BAY Limited", "bay.example")
        assert keys_of(org, acme) == {"company_domain": "acme.example", "company_name": "acme group"}
        assert keys_of(org, bay)["company_domain"] == "bay.example"

    def test_nobodys_domain_is_taken(self, org):
        acme = client(org, name="Acme", domain="acme.example")
        bay = client(org, name="Bay")
        run = imported(
            org,
            text_of(["Client ID", "Domain"], [[bay.pk, "acme.example"]]),
            kind="clients",
            mode="update",
        )

        assert errors(org, run) == {1: {"domain": [f"acme.example already belongs to client {acme.pk}."]}}
        bay.refresh_from_db()
        assert (bay.domain, bay.row_version) == ("", 1)


class TestSetBased:
    def test_a_chunk_costs_a_constant_number_of_statements(self, org, django_assert_max_num_queries):
        rows = [[f"P {n}", f"p{n}@c{n}.example", f"Company {n}"] for n in range(400)]
        run = upload(org, text_of(["Name", "Email", "Company"], rows), kind="contacts")
        start(org, run)
        from workstream.services.import_rows import import_chunk

        with django_assert_max_num_queries(45):
            import_chunk(org=org, run_id=run.pk, at=AT)

        assert Contact.objects.for_org(org).count() == Client.objects.for_org(org).count() == 400
