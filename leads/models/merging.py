"""Leads that may be one, and leads that were made one."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from leads.models.lead import Lead
from zevix.tenancy import TenantQuerySet


def _lead(label: Any, **kwargs: Any) -> Any:
    """A lead that may be in the bin, so this is no foreign key to the database."""
    options = {"related_name": "+", "db_constraint": False, "db_index": False, "verbose_name": label}
    return models.ForeignKey(Lead, models.DO_NOTHING, **{**options, **kwargs})


class UncomparedLead(models.Model):
    """A lead that is new, or known by something new, and was not looked for among the others yet. Triggers of leads write it."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    lead = _lead(_("lead"))

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "lead"], name="leads_a_lead_is_compared_once")]

    def __str__(self) -> str:
        return str(self.lead_id)


class DuplicatePair(models.Model):
    """Two leads that share what should name one. Of many that share a key, each is paired with the oldest."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        DISMISSED = "dismissed", _("Not the same")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="duplicate_pairs", verbose_name=_("workspace"), db_index=False
    )
    first = _lead(_("first lead"))
    second = _lead(_("second lead"))
    reasons = ArrayField(models.TextField(), verbose_name=_("what they share"), default=list)
    state = models.TextField(_("state"), choices=State, default=State.OPEN)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("dismissed by"))
    created_at = models.DateTimeField(_("found"), auto_now_add=True, db_default=models.functions.Now())

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("possible duplicate")
        verbose_name_plural = _("possible duplicates")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "first", "second"], name="leads_a_pair_is_offered_once"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="leads_the_first_of_a_pair_is_the_older"),
        ]
        indexes = [
            models.Index(fields=["second"], name="leads_pairs_by_second"),
            models.Index(fields=["first"], name="leads_pairs_by_first"),
            models.Index(fields=["workspace", "id"], condition=Q(state="open"), name="leads_open_pairs"),
        ]

    def __str__(self) -> str:
        return f"{self.first_id} = {self.second_id}?"


class Merge(models.Model):
    """Leads that were made one: the survivor took over what the others had, and they went."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="merges", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    survivor = _lead(_("survivor"))
    created_at = models.DateTimeField(_("merged"), auto_now_add=True)
    undone_at = models.DateTimeField(_("undone"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("merge")
        verbose_name_plural = _("merges")
        indexes = [models.Index(fields=["workspace", "survivor"], name="leads_merges_of_a_survivor")]

    def __str__(self) -> str:
        return f"#{self.pk}"


class MergedLead(models.Model):
    """A lead that went in a merge, and the rows that it took along: table → their ids, to be given back."""

    merge = models.ForeignKey(Merge, models.CASCADE, related_name="merged", verbose_name=_("merge"))
    lead = _lead(_("lead"))
    carried = models.JSONField(_("taken along"), default=dict)

    class Meta:
        verbose_name = _("merged lead")
        verbose_name_plural = _("merged leads")
        constraints = [models.UniqueConstraint(fields=["merge", "lead"], name="leads_a_merge_names_a_lead_once")]

    def __str__(self) -> str:
        return str(self.lead_id)
