"""When a version is to tell of itself next; the trigger lets that change, and what was planned before is told of, too."""

from django.conf import settings
from django.db import migrations, models

FUNCTION = """
    CREATE OR REPLACE FUNCTION public.config_value_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE'
           AND to_jsonb(OLD) - ARRAY[{free}] = to_jsonb(NEW) - ARRAY[{free}]
           AND (OLD.effective_to IS NULL OR NEW.effective_to <= OLD.effective_to)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'A version of the configuration is kept as it was; make the next version.'
            USING ERRCODE = 'check_violation';
    END $$;
"""
BEFORE = "'effective_to', 'row_version', 'updated_at'"
AFTER = f"'announce_at', {BEFORE}"
PLANNED = f"""
    SET LOCAL ROLE "{settings.SYSTEM_DB_ROLE}";
    UPDATE configuration_configvalue
       SET announce_at = CASE WHEN effective_from > statement_timestamp() THEN effective_from ELSE effective_to END
     WHERE (effective_from > statement_timestamp() OR effective_to > statement_timestamp())
       AND effective_to IS DISTINCT FROM effective_from;
    RESET ROLE;
"""


class Migration(migrations.Migration):
    dependencies = [("configuration", "0003_active_config_view")]

    operations = [
        migrations.AddField(
            model_name="configvalue",
            name="announce_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.RunSQL(FUNCTION.format(free=AFTER), FUNCTION.format(free=BEFORE)),
        migrations.RunSQL(PLANNED, migrations.RunSQL.noop),
    ]
