"""The look-up of companies reads the index of their blocks, however small the table was when it was planned.

A connection keeps the plan of a function's statement. One made while hardly any names were stored computes the blocks of
every name, and goes on to do so while the first import brings thousands. So computing blocks costs what it does, and
the statement is planned for the table as it is.
"""

from django.conf import settings
from django.db import migrations

BLOCKS = "ALTER FUNCTION public.match_company_blocks(bigint, text) COST"
CANDIDATES = f"""
    SET LOCAL ROLE "{settings.SEARCH_DB_ROLE}";
    ALTER FUNCTION public.company_candidates(text[], text[]) {{change}};
    RESET ROLE
"""


class Migration(migrations.Migration):
    dependencies = [("clients", "0007_drop_key_trigrams")]

    operations = [
        migrations.RunSQL(f"{BLOCKS} 100000", f"{BLOCKS} 100"),
        migrations.RunSQL(
            CANDIDATES.format(change="SET plan_cache_mode = force_custom_plan"),
            CANDIDATES.format(change="RESET plan_cache_mode"),
        ),
    ]
