"""Signals of a contact or client by time, deliveries by source: built beside the traffic."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models import Q

from flowledger.tenancy.constraints import OrgForeignKeyConstraint


class Migration(migrations.Migration):
    # Built beside the traffic; a failed one is dropped by hand and the migration run again.
    atomic = False

    dependencies = [("workstream", "0014_intake")]

    operations = [
        AddIndexConcurrently(
            "signal",
            models.Index(
                fields=["org", "contact", "-ts"], condition=Q(contact__isnull=False), name="signal_of_contact"
            ),
        ),
        AddIndexConcurrently(
            "signal",
            models.Index(fields=["org", "client", "-ts"], condition=Q(client__isnull=False), name="signal_of_client"),
        ),
        RemoveIndexConcurrently("signal", "signal_by_contact"),
        RemoveIndexConcurrently("signal", "signal_by_client"),
        AddIndexConcurrently(
            "signaldelivery",
            models.Index(
                fields=["org", "channel", "source", "-received_at"],
                include=["is_repeat"],
                condition=~Q(channel=""),
                name="signal_delivery_of_source",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    """
                    ALTER TABLE workstream_signaldelivery ADD CONSTRAINT signal_delivery_source_same_org
                        FOREIGN KEY (org_id, source_id) REFERENCES workstream_intakesource (org_id, id) NOT VALID
                    """,
                    "ALTER TABLE workstream_signaldelivery DROP CONSTRAINT signal_delivery_source_same_org",
                ),
                # Reads the table without keeping anybody from writing to it.
                migrations.RunSQL(
                    "ALTER TABLE workstream_signaldelivery VALIDATE CONSTRAINT signal_delivery_source_same_org",
                    migrations.RunSQL.noop,
                ),
            ],
            state_operations=[
                migrations.AddConstraint(
                    "signaldelivery",
                    OrgForeignKeyConstraint(
                        name="signal_delivery_source_same_org", field="source", to="workstream.IntakeSource"
                    ),
                )
            ],
        ),
    ]
