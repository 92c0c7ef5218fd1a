"""Search over atoms: their words, the indexes over them, and the function that finds candidates."""

from django.db import migrations

from memory.sql.search_functions import create_search, create_words, drop_search, drop_words


class Migration(migrations.Migration):
    dependencies = [("clients", "0002_search"), ("memory", "0001_initial")]

    operations = [
        migrations.RunSQL(create_words(), drop_words()),
        # No model field, so that no query of Django's ever loads it. Without fastupdate no search has to read a list of
        # pending entries; without statistics nothing of a redacted text stays in the catalogue.
        migrations.RunSQL(
            """
            ALTER TABLE public.memory_atom ADD COLUMN words tsvector
                GENERATED ALWAYS AS (public.memory_words(org_id, language, content)) STORED;
            ALTER TABLE public.memory_atom ALTER COLUMN words SET STATISTICS 0;
            ALTER TABLE public.memory_termstat ALTER COLUMN lexeme SET STATISTICS 0;
            CREATE INDEX atom_words_active ON public.memory_atom USING gin (words)
                WITH (fastupdate = off) WHERE state = 'active';
            CREATE INDEX atom_words_past ON public.memory_atom USING gin (words)
                WITH (fastupdate = off) WHERE state IN ('archived', 'superseded');
            """,
            """
            DROP INDEX public.atom_words_past;
            DROP INDEX public.atom_words_active;
            ALTER TABLE public.memory_atom DROP COLUMN words;
            ALTER TABLE public.memory_termstat ALTER COLUMN lexeme SET STATISTICS -1;
            """,
        ),
        migrations.RunSQL(create_search(), drop_search()),
    ]
