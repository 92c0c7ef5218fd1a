"""Users, organisations, memberships, API keys, and the database roles of the scopes."""

import django.contrib.auth.models
import django.contrib.auth.validators
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.manager
import django.utils.timezone
import flowledger.tenancy.constraints
from django.conf import settings
from django.db import migrations, models

from flowledger.tenancy.roles import create_scope_roles


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.RunSQL(create_scope_roles(), migrations.RunSQL.noop),
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined")),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "db_table": "tenancy_user",
                "abstract": False,
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name="Organization",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                (
                    "timezone",
                    models.CharField(default="UTC", help_text="IANA name, for example Europe/Berlin.", max_length=64),
                ),
                (
                    "default_region",
                    models.CharField(
                        default="US",
                        help_text="ISO 3166 country that phone numbers without a prefix belong to.",
                        max_length=2,
                    ),
                ),
                (
                    "currency",
                    models.CharField(default="USD", help_text="ISO 4217 code for amounts without one.", max_length=3),
                ),
                ("is_demo", models.BooleanField(default=False, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name": "organisation",
                "verbose_name_plural": "organisations",
                "constraints": [
                    flowledger.tenancy.constraints.RowSecurity(column="id", name="organization_row_security"),
                    models.UniqueConstraint(django.db.models.functions.text.Lower("name"), name="organization_name"),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="organization_has_name"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("row_version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("viewer", "Viewer"),
                            ("rep", "Representative"),
                            ("manager", "Manager"),
                            ("admin", "Administrator"),
                        ],
                        default="rep",
                        max_length=10,
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True, help_text="Off: the person keeps their history and loses access."
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
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
                "abstract": False,
                "base_manager_name": "all_orgs",
                "default_manager_name": "all_orgs",
                "indexes": [models.Index(fields=["user"], name="membership_login")],
                "constraints": [
                    flowledger.tenancy.constraints.RowSecurity(column="org_id", name="membership_row_security"),
                    models.UniqueConstraint(fields=("org", "id"), name="membership_org_id"),
                    models.UniqueConstraint(fields=("org", "user"), name="membership_user"),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["viewer", "rep", "manager", "admin"])), name="membership_role"
                    ),
                ],
            },
            managers=[
                ("all_orgs", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("row_version", models.PositiveIntegerField(default=1, editable=False)),
                ("name", models.CharField(max_length=100)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("viewer", "Viewer"),
                            ("rep", "Representative"),
                            ("manager", "Manager"),
                            ("admin", "Administrator"),
                        ],
                        default="manager",
                        max_length=10,
                    ),
                ),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), blank=True, default=list, size=None
                    ),
                ),
                ("secret_sha256", models.CharField(editable=False, max_length=64)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
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
                "verbose_name": "API key",
                "abstract": False,
                "base_manager_name": "all_orgs",
                "default_manager_name": "all_orgs",
                "constraints": [
                    flowledger.tenancy.constraints.RowSecurity(column="org_id", name="api_key_row_security"),
                    models.UniqueConstraint(fields=("org", "id"), name="api_key_org_id"),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["viewer", "rep", "manager", "admin"])), name="api_key_role"
                    ),
                ],
            },
            managers=[
                ("all_orgs", django.db.models.manager.Manager()),
            ],
        ),
    ]
