"""Says of every stay that is over which state followed: the next stay of the same item."""

from django.conf import settings
from django.db import migrations

FOLLOW = f"""
    SET LOCAL ROLE "{settings.SYSTEM_DB_ROLE}";
    UPDATE workstream_stagehistory AS stay SET left_for = later.state
      FROM (SELECT org_id, id, lead(state) OVER (
                PARTITION BY org_id, candidate_id, pursuit_id ORDER BY entered_at, id) AS state
              FROM workstream_stagehistory) AS later
     WHERE stay.org_id = later.org_id AND stay.id = later.id AND stay.left_at IS NOT NULL AND later.state IS NOT NULL;
    RESET ROLE;
"""


class Migration(migrations.Migration):

    dependencies = [("workstream", "0006_reports")]

    operations = [migrations.RunSQL(FOLLOW, migrations.RunSQL.noop)]
