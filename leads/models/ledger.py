"""The quota's books: what a workspace used in each month, and the entries that it is the sum of."""

from functools import reduce
from operator import or_
from typing import Any, ClassVar

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from billing.models import TopUp
from leads.models.exports import Export, ExportedLead
from zevix.tenancy import TenantQuerySet

_ENTERED_ONLY = """
    IF pg_trigger_depth() = 1 THEN
        RAISE EXCEPTION '% is the sum of leads_usageentry: write an entry', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
"""


def _only_by_entries(*sums: str) -> list[pgtrigger.Trigger]:
    """Rows begin with these sums at nothing, and change by the ledger's own trigger alone."""
    is_begun = reduce(or_, (pgtrigger.Q(**{f"new__{name}__gt": 0}) for name in sums))
    return [
        pgtrigger.Trigger(
            name=name, when=pgtrigger.Before, operation=operation, condition=condition, func=_ENTERED_ONLY
        )
        for name, operation, condition in (
            ("is_the_sum_of_its_entries", pgtrigger.Update, pgtrigger.AnyChange()),
            ("begins_at_nothing", pgtrigger.Insert, is_begun),
        )
    ]


class Usage(models.Model):
    """What a workspace has exported in a month (UTC): the sum of its entries. The row is the lock that exports queue at.

    ``from_credit`` of the ``used`` leads were not the plan's, but taken from the workspace's `LeadCredit`.
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="usage", verbose_name=_("workspace"))
    month = models.CharField(_("month"), max_length=7, help_text=_("YYYY-MM"))
    used = models.PositiveIntegerField(_("used"), default=0, db_default=0)
    from_credit = models.PositiveIntegerField(_("of these from credit"), default=0, db_default=0)
    limit_when_charged = models.PositiveIntegerField(_("limit at the last charge"), default=0, db_default=0)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage")
        verbose_name_plural = _("usage")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "month"], name="leads_one_usage_per_workspace_and_month"),
            models.CheckConstraint(
                condition=Q(used__lte=F("limit_when_charged")), name="leads_usage_never_passes_the_limit"
            ),
            models.CheckConstraint(
                condition=Q(from_credit__lte=F("used")), name="leads_credit_is_part_of_what_was_used"
            ),
        ]
        triggers = _only_by_entries("used", "from_credit")

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.month}: {self.used}"


class LeadCredit(models.Model):
    """Leads that a workspace may export beyond its plan, in whatever month: the sum of its entries' ``credits``."""

    workspace = models.OneToOneField(
        Workspace, models.CASCADE, primary_key=True, related_name="lead_credit", verbose_name=_("workspace")
    )
    balance = models.PositiveIntegerField(_("balance"), default=0, db_default=0)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("lead credit")
        verbose_name_plural = _("lead credits")
        triggers = _only_by_entries("balance")

    def __str__(self) -> str:
        return f"{self.workspace_id}: {self.balance}"


class UsageEntry(models.Model):
    """One line of the ledger, for ever: ``leads`` is what it adds to the month's ``used``, ``credits`` what it adds to the balance.

    | kind | leads | credits |
    |---|---|---|
    | charge | as many as were exported | minus those that the plan had no room for |
    | refund | -1 in the month of the charge, else 0 | +1 where the charge was from credit, or of an earlier month |
    | top-up | 0 | as many as were bought |
    | adjustment | by the operator, either | or |

    Triggers carry each entry into `Usage` and `LeadCredit`, and refuse every change of an entry.
    """

    class Kind(models.TextChoices):
        CHARGE = "charge", _("charge")
        REFUND = "refund", _("refund")
        TOP_UP = "topup", _("top-up")
        ADJUSTMENT = "adjustment", _("adjustment")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="usage_entries", db_index=False, verbose_name=_("workspace")
    )
    month = models.CharField(_("month"), max_length=7, help_text=_("YYYY-MM"))
    kind = models.TextField(_("kind"), choices=Kind)
    leads = models.IntegerField(_("leads"), default=0, db_default=0)
    credits = models.IntegerField(_("credit"), default=0, db_default=0)
    ceiling = models.PositiveIntegerField(
        null=True, editable=False, help_text=_("Of a charge: what could be used at that moment.")
    )
    reason = models.TextField(_("reason"), blank=True, default="", db_default="")
    export = models.ForeignKey(
        Export, models.RESTRICT, null=True, related_name="entries", editable=False, verbose_name=_("export")
    )
    refunded = models.ForeignKey(
        ExportedLead, models.RESTRICT, null=True, related_name="refunds", editable=False, verbose_name=_("refunded lead"),
        db_index=False,
    )  # fmt: skip
    top_up = models.ForeignKey(
        TopUp,
        models.RESTRICT,
        null=True,
        related_name="entries",
        editable=False,
        verbose_name=_("top-up"),
        db_index=False,
    )
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    created_at = models.DateTimeField(_("entered"), auto_now_add=True, db_default=models.functions.Now())

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger")
        constraints = [
            models.UniqueConstraint(
                fields=["refunded"], condition=Q(refunded__isnull=False), name="leads_refunded_once"
            ),
            models.UniqueConstraint(fields=["top_up"], condition=Q(top_up__isnull=False), name="leads_topped_up_once"),
            models.CheckConstraint(
                condition=Q(kind="charge", leads__gt=0, credits__lte=0, export__isnull=False, ceiling__isnull=False)
                | Q(kind="refund", leads=-1, credits__in=(0, 1), refunded__isnull=False)
                | Q(kind="refund", leads=0, credits=1, refunded__isnull=False)
                | Q(kind="topup", leads=0, credits__gt=0, top_up__isnull=False)
                | (Q(kind="adjustment", ceiling__isnull=True) & ~Q(reason="") & (Q(leads=0) ^ Q(credits=0))),
                name="leads_an_entry_is_what_its_kind_says",
            ),
        ]
        indexes = [models.Index(fields=["workspace", "id"], name="leads_ledger_page")]
        triggers = [
            pgtrigger.Trigger(
                name="is_carried_into_the_sums",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                func="""
                    INSERT INTO leads_usage (workspace_id, month) VALUES (NEW.workspace_id, NEW.month)
                        ON CONFLICT (workspace_id, month) DO NOTHING;
                    UPDATE leads_usage SET
                        used = used + NEW.leads,
                        from_credit = from_credit - CASE WHEN NEW.leads = 0 THEN 0 ELSE NEW.credits END,
                        -- only a charge can pass the limit; whatever else is entered moves it along
                        limit_when_charged = coalesce(NEW.ceiling, greatest(limit_when_charged, used + NEW.leads))
                    WHERE workspace_id = NEW.workspace_id AND month = NEW.month;
                    IF NEW.credits <> 0 THEN
                        INSERT INTO leads_leadcredit (workspace_id) VALUES (NEW.workspace_id) ON CONFLICT DO NOTHING;
                        UPDATE leads_leadcredit SET balance = balance + NEW.credits WHERE workspace_id = NEW.workspace_id;
                    END IF;
                    RETURN NULL;
                """,
            ),
            pgtrigger.Protect(
                name="stays_as_it_is", operation=pgtrigger.Update, condition=pgtrigger.AnyChange(exclude=["user"])
            ),
            # at the commit, so that a workspace can be deleted with all it has
            pgtrigger.Trigger(
                name="stays_for_ever",
                when=pgtrigger.After,
                operation=pgtrigger.Delete,
                timing=pgtrigger.Deferred,
                func="""
                    IF EXISTS (SELECT FROM accounts_workspace WHERE id = OLD.workspace_id) THEN
                        RAISE EXCEPTION 'the ledger keeps its entries' USING ERRCODE = 'integrity_constraint_violation';
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.leads or self.credits:+}"


class UsageAlert(models.Model):
    """That a workspace was told how far its month's quota is used up; once for each threshold and plan."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    month = models.CharField(_("month"), max_length=7, help_text=_("YYYY-MM"))
    threshold = models.PositiveSmallIntegerField(_("percent"))
    plan = models.SlugField(_("plan"), max_length=50)
    created_at = models.DateTimeField(_("told"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage alert")
        verbose_name_plural = _("usage alerts")
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "month", "threshold", "plan"], name="leads_told_once_of_each_threshold"
            )
        ]

    def __str__(self) -> str:
        return f"{self.month}: {self.threshold}%"
