"""A trigger that keeps configuration as it was: only the end of a version's range may come earlier."""

from django.db import migrations

KEEP = """
    CREATE FUNCTION public.config_value_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE'
           AND to_jsonb(OLD) - ARRAY['effective_to', 'row_version', 'updated_at']
             = to_jsonb(NEW) - ARRAY['effective_to', 'row_version', 'updated_at']
           AND (OLD.effective_to IS NULL OR NEW.effective_to <= OLD.effective_to)
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'A version of the configuration is kept as it was; make the next version.'
            USING ERRCODE = 'check_violation';
    END $$;
    CREATE TRIGGER config_value_is_kept BEFORE UPDATE OR DELETE ON configuration_configvalue
        FOR EACH ROW EXECUTE FUNCTION public.config_value_is_kept();
"""
FORGET = """
    DROP TRIGGER config_value_is_kept ON configuration_configvalue;
    DROP FUNCTION public.config_value_is_kept();
"""


class Migration(migrations.Migration):
    dependencies = [("configuration", "0001_initial")]

    operations = [migrations.RunSQL(KEEP, FORGET)]
