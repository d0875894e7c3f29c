"""A workspace as Stripe's customer, and what Stripe has sent."""

import uuid
from typing import Any, ClassVar, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace


class BillingAccount(models.Model):
    """A workspace as Stripe's customer. ``version`` grows with each reading of Stripe that was written down.

    ``nonce`` goes into the idempotency keys that Stripe gets: ids of ours alone may come again in another database.
    """

    workspace = models.OneToOneField(
        Workspace, models.CASCADE, related_name="billing_account", verbose_name=_("workspace")
    )
    nonce = models.UUIDField(default=uuid.uuid4, editable=False)
    customer_id = models.TextField(_("customer in Stripe"), blank=True, default="", editable=False)
    open_session_id = models.TextField(_("open Checkout session"), blank=True, default="", editable=False)
    version = models.PositiveBigIntegerField(default=0, editable=False)
    synced_at = models.DateTimeField(_("read from Stripe"), null=True, editable=False)
    failed_at = models.DateTimeField(_("last failure"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("billing account")
        verbose_name_plural = _("billing accounts")
        constraints = [
            models.UniqueConstraint(
                fields=["customer_id"], condition=~models.Q(customer_id=""), name="billing_customer_is_one_workspace"
            )
        ]

    def __str__(self) -> str:
        return self.customer_id or f"#{self.pk}"


class StripeEventQuerySet(models.QuerySet["StripeEvent"]):
    def failed(self) -> Self:
        return self.filter(status=StripeEvent.Status.FAILED)


class StripeEvent(models.Model):
    """An event as Stripe sent it, kept once by its id. It is a hint to read Stripe anew, never the truth itself."""

    class Status(models.TextChoices):
        RECEIVED = "received", _("received")
        DONE = "done", _("done")
        IGNORED = "ignored", _("ignored")
        FAILED = "failed", _("failed")

    event_id = models.TextField(_("id in Stripe"), unique=True)
    type = models.TextField(_("type"))
    customer_id = models.TextField(_("customer in Stripe"), blank=True, default="")
    payload = models.JSONField(_("content"))
    status = models.TextField(_("status"), choices=Status, default=Status.RECEIVED)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    error = models.TextField(_("error"), blank=True, default="")
    sent_at = models.DateTimeField(_("happened"))
    received_at = models.DateTimeField(_("received"), auto_now_add=True)
    processed_at = models.DateTimeField(_("worked off"), null=True)

    objects: ClassVar[Any] = StripeEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event of Stripe")
        verbose_name_plural = _("events of Stripe")
        indexes = [
            models.Index(fields=["status", "id"], name="billing_events_by_status"),
            models.Index(fields=["customer_id", "id"], name="billing_events_by_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
