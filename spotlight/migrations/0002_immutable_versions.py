"""A trigger that keeps versions of profiles as they were; who made one may be forgotten with the person."""

from django.db import migrations

KEEP = """
    CREATE FUNCTION public.spotlight_version_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF to_jsonb(OLD) - ARRAY['made_by_id', 'row_version', 'updated_at']
           = to_jsonb(NEW) - ARRAY['made_by_id', 'row_version', 'updated_at']
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'A version of a profile is kept as it was; make the next version.'
            USING ERRCODE = 'check_violation';
    END $$;
    CREATE TRIGGER spotlight_version_is_kept BEFORE UPDATE ON spotlight_spotlightversion
        FOR EACH ROW EXECUTE FUNCTION public.spotlight_version_is_kept();
"""
FORGET = """
    DROP TRIGGER spotlight_version_is_kept ON spotlight_spotlightversion;
    DROP FUNCTION public.spotlight_version_is_kept();
"""


class Migration(migrations.Migration):
    dependencies = [("spotlight", "0001_initial")]

    operations = [migrations.RunSQL(KEEP, FORGET)]
