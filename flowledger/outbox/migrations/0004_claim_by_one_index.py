"""The claim, in words that only its own index can answer.

With equality on the organisation the planner takes the order by organisation and key for an order by key alone, and may
walk the primary key past everybody else's backlog to a single event. Compared as a pair, organisation and key have one
index that finds them, and one that sorts them.
"""

from importlib import import_module

from django.db import migrations

_before = import_module("flowledger.outbox.migrations.0003_delivery").CLAIM
_BY_EQUALITY = "e.org_id = p_orgs[turn] AND e.id >= p_marks[turn]"
_BY_PAIR = "(e.org_id, e.id) >= (p_orgs[turn], p_marks[turn]) AND e.org_id <= p_orgs[turn]"

CLAIM = _before.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(_BY_EQUALITY, _BY_PAIR)


class Migration(migrations.Migration):

    dependencies = [("outbox", "0003_delivery")]

    operations = [
        migrations.RunSQL(CLAIM, _before.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")),
    ]
