"""The index by which versions are found whose time has come."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    # Built beside the traffic; a failed one is dropped by hand and the migration run again.
    atomic = False

    dependencies = [("configuration", "0004_announce_at")]

    operations = [
        AddIndexConcurrently(
            "configvalue",
            models.Index(
                condition=Q(announce_at__isnull=False), fields=["announce_at", "id"], name="config_value_announce"
            ),
        ),
    ]
