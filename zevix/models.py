"""What the ground keeps: the log of events, and answers to repeat for an Idempotency-Key."""

from django.conf import settings
from django.db import models


class Event(models.Model):
    """One thing that happened in a workspace, written in the transaction that did it.

    ``seq`` counts from 1 in each workspace, without gaps, in the order of the commits: a trigger numbers the row while its
    transaction commits. So a reader that has seen up to n misses nothing by asking for what lies above n.
    """

    workspace = models.ForeignKey(settings.TENANT_MODEL, on_delete=models.CASCADE, related_name="+")
    seq = models.BigIntegerField(null=True, editable=False)
    type = models.TextField()
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "seq"], name="zevix_events_are_numbered_once_per_workspace")
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"


class EventCounter(models.Model):
    """The highest ``seq`` of a workspace's events; only the trigger writes it."""

    workspace = models.OneToOneField(
        settings.TENANT_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    last_seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.workspace_id}: {self.last_seq}"


class IdempotentAnswer(models.Model):
    """The first answer to a request that came with an ``Idempotency-Key``, kept for 24 hours."""

    workspace = models.ForeignKey(settings.TENANT_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField(help_text="SHA-256 of method, path, query and body")
    status = models.PositiveSmallIntegerField(null=True)
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "key"], name="zevix_one_answer_per_idempotency_key")
        ]

    def __str__(self) -> str:
        return self.key
