"""The realistic handler: three writes through Django's ORM. Import it when Django is set up."""

from __future__ import annotations

from django.db import models
from django.db.models import F


# Without an installed application: the models only lend their SQL.
class Account(models.Model):
    """What the handler updates; every event has its own."""

    touches = models.IntegerField()
    last_title = models.TextField()

    class Meta:
        app_label = "bench"
        managed = False
        db_table = "bench_account"


class Activity(models.Model):
    """What the handler notes."""

    account_id = models.BigIntegerField()
    title = models.TextField()
    noted_at = models.DateTimeField(db_default=models.functions.Now())

    class Meta:
        app_label = "bench"
        managed = False
        db_table = "bench_activity"


class Task(models.Model):
    """What the handler asks somebody to do."""

    account_id = models.BigIntegerField()
    title = models.TextField()
    done = models.BooleanField()

    class Meta:
        app_label = "bench"
        managed = False
        db_table = "bench_task"


def three_writes(account_id: int, title: str) -> None:
    """The realistic handler: insert, update, insert; the caller brings the transaction, FlowLedger's drain has one."""
    Activity._default_manager.create(account_id=account_id, title=title)
    Account._default_manager.filter(pk=account_id).update(touches=F("touches") + 1, last_title=title)
    Task._default_manager.create(account_id=account_id, title=title, done=False)
