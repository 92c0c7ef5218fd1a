"""Word search over clients and contacts."""

from django.db import migrations

from flowledger.tenancy.search import make_searchable


class Migration(migrations.Migration):
    dependencies = [("clients", "0001_initial")]

    operations = [
        *make_searchable(
            table="clients_client",
            columns=["name", "domain", "industry"],
            function="client_search",
            index="client_words",
        ),
        *make_searchable(
            table="clients_contact",
            columns=["name", "email", "title", "phone"],
            function="contact_search",
            index="contact_words",
        ),
    ]
