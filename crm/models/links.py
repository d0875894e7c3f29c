"""Which lead is which person there, what both last agreed on, and where they differ."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from crm.models.connections import Connection
from leads.models import Lead
from zevix.tenancy import TenantQuerySet


def lead_field() -> Any:
    """It outlives the lead's stay in the bin."""
    return models.ForeignKey(Lead, models.DO_NOTHING, related_name="+", db_constraint=False, verbose_name=_("lead"))


class Leased(models.Model):
    """A row that one worker at a time has, while it asks Pipedrive, without a transaction that waits. A lease ends by itself."""

    lease = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


class Link(Leased):
    """A lead and the person that it is in Pipedrive; without a person, one that is to be sent and could not be yet.

    ``snapshot`` holds for each mapped field what both sides had when they last agreed: ``{"name": [ours, theirs], …}``. With
    ``woken_at`` the person is read anew the next time, whether the lead has changed or not.
    """

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        DELETED = "deleted", _("Deleted in Pipedrive")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="links", verbose_name=_("Pipedrive connection")
    )
    lead = lead_field()
    person_id = models.BigIntegerField(_("person"), null=True, blank=True)
    organization_id = models.BigIntegerField(_("organization"), null=True, blank=True)
    state = models.TextField(_("how it stands"), choices=State, default=State.ACTIVE)
    sent_as = models.TextField(blank=True, default="", editable=False, help_text="The key by which its person is made.")
    snapshot = models.JSONField(default=dict, editable=False)
    # field → the values there that our last writes found, and that they left
    pushed = models.JSONField(default=dict, editable=False)
    problem = models.TextField(_("problem"), blank=True, default="")
    problem_at = models.DateTimeField(_("problem since"), null=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False, help_text="Failed ones in a row.")
    retry_at = models.DateTimeField(_("tried again at"), null=True, editable=False)
    seen_at = models.DateTimeField(null=True, editable=False, help_text="When all was last read, and nothing differed.")
    woken_at = models.DateTimeField(
        null=True, editable=False, help_text="When something changed there that is not read yet."
    )
    synced_at = models.DateTimeField(_("in step"), null=True, editable=False)
    created_at = models.DateTimeField(_("linked"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("linked lead")
        verbose_name_plural = _("linked leads")
        constraints = [
            models.UniqueConstraint(fields=["connection", "lead"], name="crm_a_lead_is_linked_once"),
            models.UniqueConstraint(fields=["connection", "person_id"], name="crm_a_person_is_linked_once"),
        ]
        indexes = [
            models.Index(fields=["connection", "organization_id"], name="crm_links_by_organization"),
            models.Index(fields=["connection", "problem_at"], condition=~Q(problem=""), name="crm_links_in_trouble"),
            models.Index(
                fields=["connection", "retry_at"], condition=Q(retry_at__isnull=False), name="crm_links_tried_again"
            ),
            models.Index(fields=["connection", "synced_at"], name="crm_links_by_sync"),
        ]

    def __str__(self) -> str:
        return f"{self.lead_id} ↔ {self.person_id or '…'}"


class Creation(Leased):
    """Something that we make in Pipedrive, once: written down before it is asked for, so that a crash in between makes no twin.

    With ``sent_at`` and without ``remote_id`` it may be there or not; that is looked up before it is asked for again.
    """

    class Kind(models.TextChoices):
        PERSON = "person", _("Person")
        ORGANIZATION = "organization", _("Organization")
        DEAL = "deal", _("Deal")
        NOTE = "note", _("Note")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="creations", verbose_name=_("Pipedrive connection")
    )
    kind = models.TextField(_("kind"), choices=Kind)
    key = models.TextField(_("key"), help_text=_("What names it here: an e-mail address, a company's name, a number."))
    remote_id = models.BigIntegerField(_("id in Pipedrive"), null=True, blank=True)
    sent_at = models.DateTimeField(_("asked for"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("object in Pipedrive")
        verbose_name_plural = _("objects in Pipedrive")
        constraints = [models.UniqueConstraint(fields=["connection", "kind", "key"], name="crm_a_key_names_one_object")]
        indexes = [models.Index(fields=["connection", "kind", "remote_id"], name="crm_creations_by_remote_id")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Conflict(models.Model):
    """A field that was changed on both sides, with both values. Until it is resolved neither side's value moves."""

    class Choice(models.TextChoices):
        ZEVIX = "zevix", _("Zevix's value")
        PIPEDRIVE = "pipedrive", _("Pipedrive's value")
        AGREED = "agreed", _("Both agree by now")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="conflicts", verbose_name=_("Pipedrive connection")
    )
    lead = lead_field()
    field = models.TextField(_("field"), help_text=_("Of the lead, as in the mapping."))
    ours = models.JSONField(_("in Zevix"), null=True)
    theirs = models.JSONField(_("in Pipedrive"), null=True)
    ours_at = models.DateTimeField(_("changed in Zevix"), null=True)
    theirs_at = models.DateTimeField(_("changed in Pipedrive"), null=True)
    is_overwritten = models.BooleanField(
        _("overwritten"),
        default=False,
        help_text=_("Pipedrive's value was written while ours was on its way, which took its place."),
    )
    created_at = models.DateTimeField(_("found"), auto_now_add=True)
    choice = models.TextField(_("resolved with"), choices=Choice, blank=True, default="")
    by_rule = models.BooleanField(_("by rule"), default=False)
    resolved_by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("resolved by")
    )
    resolved_at = models.DateTimeField(_("resolved"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("conflict")
        verbose_name_plural = _("conflicts")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "lead", "field"],
                condition=Q(resolved_at=None),
                name="crm_one_open_conflict_per_field",
            )
        ]
        indexes = [models.Index(fields=["workspace", "id"], name="crm_conflicts_page")]

    def __str__(self) -> str:
        return f"{self.lead_id}: {self.field}"
