"""The table in which triggers keep the number of items and their worth."""

from decimal import Decimal

import django.db.models.deletion
import django.db.models.manager
from django.db import migrations, models

import flowledger.tenancy.constraints


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0001_initial"), ("workstream", "0008_report_models")]

    operations = [
        migrations.CreateModel(
            name="ItemTally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("row_version", models.PositiveIntegerField(default=1, editable=False)),
                ("item_type", models.CharField(max_length=10)),
                ("state", models.CharField(blank=True, max_length=20)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("count", models.BigIntegerField()),
                ("valued", models.BigIntegerField(default=0)),
                ("value", models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=24)),
                ("weighted", models.DecimalField(decimal_places=4, default=Decimal("0"), max_digits=26)),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenancy.organization",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "item tallies",
                "abstract": False,
                "base_manager_name": "all_orgs",
                "default_manager_name": "all_orgs",
                "constraints": [
                    flowledger.tenancy.constraints.RowSecurity(column="org_id", name="item_tally_row_security"),
                    models.UniqueConstraint(fields=("org", "id"), name="item_tally_org_id"),
                ],
            },
            managers=[("all_orgs", django.db.models.manager.Manager())],
        ),
    ]
