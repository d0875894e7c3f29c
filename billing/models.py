"""Plans, and which one a workspace has."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace

FREE = "free"


class Plan(models.Model):
    """What can be bought. ``code`` is what pages and clients know it by."""

    code = models.SlugField(_("code"), max_length=50, unique=True)
    name = models.CharField(_("name"), max_length=100)
    monthly_leads = models.PositiveIntegerField(_("leads a month"))
    is_active = models.BooleanField(_("on offer"), default=True)

    class Meta:
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        ordering = ["monthly_leads"]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """The plan that a workspace has; one without a row has the free plan."""

    workspace = models.OneToOneField(
        Workspace, models.CASCADE, related_name="subscription", verbose_name=_("workspace")
    )
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="subscriptions", verbose_name=_("plan"))
    created_at = models.DateTimeField(_("since"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")

    def __str__(self) -> str:
        return f"{self.workspace} · {self.plan}"
