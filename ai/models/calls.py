"""What was asked of the AI, what that cost, and what it may cost in a month."""

from typing import Any, ClassVar

import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from ai.models.prompts import PromptVersion
from zevix.tenancy import TenantQuerySet


class AIMonth(models.Model):
    """What a workspace's calls cost in a month (UTC), in millionths of a US dollar; ``reserved`` for those that are under way.

    The sums of `AICall`, kept by its triggers; the row is the lock that reservations queue at.
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="ai_months", verbose_name=_("workspace"))
    month = models.CharField(_("month"), max_length=7, help_text=_("YYYY-MM"))
    spent = models.PositiveBigIntegerField(_("spent"), default=0, db_default=0)
    reserved = models.PositiveBigIntegerField(_("reserved"), default=0, db_default=0)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("AI budget")
        verbose_name_plural = _("AI budgets")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "month"], name="ai_one_budget_per_workspace_and_month")
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.month}: {self.spent}"


class AICall(models.Model):
    """One request to the AI: which prompt and model, what it took and cost (in millionths of a US dollar), and what came of it.

    What was asked is not kept, but its hash: leads and visitors' words stay where they are.
    """

    class Outcome(models.TextChoices):
        RUNNING = "running", _("running")
        COMPLETED = "completed", _("completed")
        INCOMPLETE = "incomplete", _("incomplete")
        REFUSED = "refused", _("refused")
        FAILED = "failed", _("failed")
        ABANDONED = "abandoned", _("abandoned")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="ai_calls", db_index=False, verbose_name=_("workspace")
    )
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    action = models.TextField(_("action"))
    prompt_version = models.ForeignKey(
        PromptVersion, models.SET_NULL, null=True, related_name="calls", verbose_name=_("prompt version")
    )
    model = models.TextField(_("model"))
    input_hash = models.CharField(max_length=64, help_text=_("SHA-256 of what was asked."))
    month = models.CharField(_("month"), max_length=7)
    outcome = models.TextField(_("outcome"), choices=Outcome, default=Outcome.RUNNING)
    error = models.TextField(_("error"), blank=True, default="")
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    input_tokens = models.PositiveIntegerField(_("tokens in"), default=0)
    cached_tokens = models.PositiveIntegerField(_("of these cached"), default=0)
    output_tokens = models.PositiveIntegerField(_("tokens out"), default=0)
    reserved = models.PositiveBigIntegerField(_("reserved"), default=0)
    cost = models.PositiveBigIntegerField(_("cost"), default=0)
    duration_ms = models.PositiveIntegerField(_("milliseconds"), null=True)
    created_at = models.DateTimeField(_("asked"), auto_now_add=True)
    finished_at = models.DateTimeField(_("answered"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("AI call")
        verbose_name_plural = _("AI calls")
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="running", cost=0) | (~Q(outcome="running") & Q(reserved=0)),
                name="ai_a_reservation_ends_with_its_call",
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "id"], name="ai_calls_page"),
            models.Index(fields=["workspace", "created_at"], name="ai_calls_by_time"),
            models.Index(fields=["id"], condition=Q(outcome="running"), name="ai_calls_under_way"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="is_carried_into_the_month",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func="""
                    INSERT INTO ai_aimonth (workspace_id, month) VALUES (NEW.workspace_id, NEW.month)
                        ON CONFLICT (workspace_id, month) DO NOTHING;
                    UPDATE ai_aimonth SET
                        spent = spent + NEW.cost - CASE WHEN TG_OP = 'UPDATE' THEN OLD.cost ELSE 0 END,
                        reserved = reserved + NEW.reserved - CASE WHEN TG_OP = 'UPDATE' THEN OLD.reserved ELSE 0 END
                    WHERE workspace_id = NEW.workspace_id AND month = NEW.month
                        AND (TG_OP = 'INSERT' OR (OLD.cost, OLD.reserved) <> (NEW.cost, NEW.reserved));
                    RETURN NULL;
                """,
            )
        ]

    def __str__(self) -> str:
        return f"{self.action} #{self.pk}"
