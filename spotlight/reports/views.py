"""The SQL views of spotlight as read-only models; migrations make the views, Django never touches them."""

from __future__ import annotations

from django.db import models

from workstream.reports.views import ViewRow


class ScoreSummary(ViewRow):
    """What the signals, or the candidates, score against a profile; every profile has a row of either kind."""

    pk = models.CompositePrimaryKey("org_id", "spotlight_id", "item_type")
    spotlight_id = models.BigIntegerField()
    spotlight_name = models.CharField(max_length=120)
    active = models.BooleanField()
    version = models.PositiveIntegerField()
    item_type = models.CharField(max_length=10)
    items = models.BigIntegerField()
    high_match = models.BigIntegerField()
    medium_match = models.BigIntegerField()
    low_match = models.BigIntegerField()
    no_match = models.BigIntegerField()
    match_rate_percent = models.DecimalField(max_digits=4, decimal_places=1, null=True)
    mean_score = models.DecimalField(max_digits=5, decimal_places=4, null=True)
    mean_coverage = models.DecimalField(max_digits=5, decimal_places=4, null=True)
    outdated = models.BigIntegerField()
    overridden = models.BigIntegerField()
    last_evaluated_at = models.DateTimeField(null=True)

    class Meta(ViewRow.Meta):
        db_table = "v_spotlight_score_summary"
