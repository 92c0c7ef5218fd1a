"""Versions of atoms stay as they were written but for their text, which a redaction empties; no text in statistics."""

from django.db import migrations

KEEP = """
    CREATE FUNCTION public.memory_version_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF to_jsonb(OLD) - ARRAY['content', 'reason', 'row_version', 'updated_at']
           = to_jsonb(NEW) - ARRAY['content', 'reason', 'row_version', 'updated_at']
           AND NEW.content IN (OLD.content, '') AND NEW.reason IN (OLD.reason, '')
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'A version of an atom is kept as it was; only a redaction empties its text.'
            USING ERRCODE = 'check_violation';
    END $$;
    CREATE TRIGGER memory_version_is_kept BEFORE UPDATE ON memory_atomversion
        FOR EACH ROW EXECUTE FUNCTION public.memory_version_is_kept();
"""
FORGET = """
    DROP TRIGGER memory_version_is_kept ON memory_atomversion;
    DROP FUNCTION public.memory_version_is_kept();
"""
# What people wrote would stand in pg_stats, samples and all, until the next ANALYZE and longer.
TEXTS = {
    "memory_atom": ("content", "tags"),
    "memory_atomversion": ("content", "reason"),
    "memory_memorycard": ("summary", "top_atoms"),
    "memory_atomconflict": ("note",),
    "memory_redaction": ("named", "reason"),
    "memory_legalhold": ("reason", "release_reason"),
    "memory_extractionjob": ("failure",),
}


def _statistics(target: int) -> str:
    return "; ".join(
        f"ALTER TABLE public.{table} ALTER COLUMN {column} SET STATISTICS {target}"
        for table, columns in TEXTS.items()
        for column in columns
    )


class Migration(migrations.Migration):
    dependencies = [("memory", "0002_search")]

    operations = [migrations.RunSQL(KEEP, FORGET), migrations.RunSQL(_statistics(0), _statistics(-1))]
