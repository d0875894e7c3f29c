"""Who gets which leads: rules, the people in them, and what was given to whom."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from leads.models.lead import Lead
from zevix.tenancy import TenantQuerySet


def _texts(label: Any) -> Any:
    return ArrayField(models.TextField(), verbose_name=label, default=list, blank=True)


class Territory(models.Model):
    """Which leads are meant: those in one of the states or ZIP areas, and with one of the specialties and tags, where any are named."""

    states = _texts(_("states"))
    zip_prefixes = _texts(_("beginnings of ZIP codes"))
    specialties = _texts(_("specialties"))
    tags = _texts(_("tags"))

    class Meta:
        abstract = True


class DistributionRule(Territory):
    """Gives the leads of its territory to its members in turn. The first rule, by position, that has somebody free for a lead decides."""

    class Strategy(models.TextChoices):
        ROUND_ROBIN = "round_robin", _("In turn")
        WEIGHTED = "weighted", _("By weight")
        LEAST_BUSY = "least_busy", _("Whoever has the fewest open leads")
        TERRITORY = "territory", _("By each member's territory")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="distribution_rules", verbose_name=_("workspace"), db_index=False
    )
    name = models.TextField(_("name"))
    position = models.PositiveIntegerField(_("position"), default=0)
    strategy = models.TextField(_("strategy"), choices=Strategy, default=Strategy.ROUND_ROBIN)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("distribution rule")
        verbose_name_plural = _("distribution rules")
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="leads_rule_names_are_unique")]

    def __str__(self) -> str:
        return self.name


class RuleMember(Territory):
    """A member whom a rule gives leads to; with a territory of their own, only such."""

    rule = models.ForeignKey(DistributionRule, models.CASCADE, related_name="members", verbose_name=_("rule"))
    user = models.ForeignKey(User, models.CASCADE, related_name="+", verbose_name=_("user"))
    weight = models.PositiveIntegerField(
        _("weight"), default=1, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    credit = models.BigIntegerField(default=0, editable=False, help_text="Whose turn it is: the highest is next.")

    class Meta:
        verbose_name = _("member of a rule")
        verbose_name_plural = _("members of rules")
        constraints = [
            models.UniqueConstraint(fields=["rule", "user"], name="leads_a_rule_names_a_member_once"),
            models.CheckConstraint(condition=Q(weight__range=(1, 1000)), name="leads_weights_are_from_1_to_1000"),
        ]

    def __str__(self) -> str:
        return str(self.user)


class Availability(models.Model):
    """How many leads a day somebody takes, and when they are away. Without a row: any number, always."""

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="availabilities", verbose_name=_("workspace"), db_index=False
    )
    user = models.ForeignKey(User, models.CASCADE, related_name="+", verbose_name=_("user"))
    daily_capacity = models.PositiveIntegerField(_("leads a day"), null=True, blank=True)
    absent_from = models.DateField(_("away from"), null=True, blank=True)
    absent_until = models.DateField(_("away until"), null=True, blank=True, help_text=_("The last day away."))

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("availability")
        verbose_name_plural = _("availabilities")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="leads_one_availability_per_member"),
            models.CheckConstraint(
                condition=Q(absent_until__gte=F("absent_from")), name="leads_an_absence_ends_after_it_begins"
            ),
        ]

    def __str__(self) -> str:
        return str(self.user)


class Assignment(models.Model):
    """A lead that a rule gave to somebody, and why."""

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="assignments", verbose_name=_("workspace"), db_index=False
    )
    lead = models.ForeignKey(
        Lead, models.DO_NOTHING, related_name="+", verbose_name=_("lead"), db_constraint=False, db_index=False
    )
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    rule = models.ForeignKey(
        DistributionRule, models.SET_NULL, null=True, related_name="+", verbose_name=_("rule")
    )  # fmt: skip
    facts = models.JSONField(_("why"), default=dict, help_text="What the rule saw: strategy, matches, load, capacity.")
    created_at = models.DateTimeField(_("assigned"), auto_now_add=True, db_default=Now())

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        indexes = [
            models.Index(fields=["workspace", "user", "created_at"], name="leads_assignments_of_a_day"),
            models.Index(fields=["lead", "id"], name="leads_assignments_of_a_lead"),
        ]

    def __str__(self) -> str:
        return f"{self.lead_id} → {self.user_id}"


class WaitingLead(models.Model):
    """A lead that no rule found anybody for; tried again when somebody may be free."""

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="waiting_leads", verbose_name=_("workspace"), db_index=False
    )
    lead = models.ForeignKey(
        Lead, models.DO_NOTHING, related_name="+", verbose_name=_("lead"), db_constraint=False, db_index=False
    )
    reason = models.TextField(_("reason"), help_text="`no_rule`, `nobody_free` or `no_members`.")
    created_at = models.DateTimeField(_("waiting since"), auto_now_add=True, db_default=Now())

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("waiting lead")
        verbose_name_plural = _("waiting leads")
        constraints = [models.UniqueConstraint(fields=["workspace", "lead"], name="leads_a_lead_waits_once")]
        indexes = [models.Index(fields=["lead"], name="leads_waiting_by_lead")]

    def __str__(self) -> str:
        return str(self.lead_id)
