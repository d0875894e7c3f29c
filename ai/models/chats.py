"""Talks with visitors and with people of the team, and what the AI would do if somebody agreed."""

import uuid
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from ai.models.calls import AICall
from leads.models import Lead
from zevix.tenancy import TenantQuerySet


class ChatSession(models.Model):
    """A talk. An anonymous one is reached by its id alone, which nobody can guess; a user's by that user.

    ``summary`` stands for the messages up to ``summarized_seq``. ``reads_untrusted`` says that words of strangers (a visitor's, a lead's
    fields, a document's) are part of it, so that what it wants to write becomes a proposal.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="chats", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="chats", verbose_name=_("user"))
    visitor_id = models.TextField(_("visitor"), blank=True, default="")
    visitor = models.JSONField(_("what the visitor said of themselves"), default=dict)
    is_verified = models.BooleanField(_("identity signed"), default=False)
    language = models.CharField(_("language"), max_length=2, default="en")
    summary = models.TextField(_("summary"), blank=True, default="")
    summarized_seq = models.PositiveIntegerField(default=0)
    last_seq = models.PositiveIntegerField(_("messages"), default=0)
    reads_untrusted = models.BooleanField(default=False)
    lead = models.ForeignKey(
        Lead, models.DO_NOTHING, null=True, related_name="+", db_constraint=False, verbose_name=_("lead")
    )
    created_at = models.DateTimeField(_("begun"), auto_now_add=True)
    last_at = models.DateTimeField(_("last message"), auto_now=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("chat")
        verbose_name_plural = _("chats")
        indexes = [
            models.Index(fields=["workspace", "-last_at"], name="ai_chats_latest_first"),
            models.Index(fields=["workspace", "user", "-last_at"], name="ai_chats_of_a_user"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ChatMessage(models.Model):
    class Role(models.TextChoices):
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")
        TOOL = "tool", _("tool")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    session = models.ForeignKey(ChatSession, models.CASCADE, related_name="messages", verbose_name=_("chat"))
    seq = models.PositiveIntegerField()
    role = models.TextField(_("role"), choices=Role)
    text = models.TextField(_("text"), blank=True, default="")
    sources = models.JSONField(_("sources"), default=list)
    tool = models.JSONField(_("tool"), null=True)
    call = models.ForeignKey(AICall, models.SET_NULL, null=True, related_name="+", verbose_name=_("AI call"))
    created_at = models.DateTimeField(_("said"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("chat message")
        verbose_name_plural = _("chat messages")
        constraints = [models.UniqueConstraint(fields=["session", "seq"], name="ai_messages_are_in_one_order")]

    def __str__(self) -> str:
        return self.text[:80]


class Proposal(models.Model):
    """Something that the AI wants to write, and a person has to agree to. ``edited`` is what they made of it."""

    class Kind(models.TextChoices):
        CREATE_LEAD = "create_lead", _("add a lead")
        CREATE_DEAL = "create_deal", _("add a deal")

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")
        EXPIRED = "expired", _("expired")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="proposals", verbose_name=_("workspace"))
    session = models.ForeignKey(
        ChatSession, models.SET_NULL, null=True, related_name="proposals", verbose_name=_("chat")
    )
    kind = models.TextField(_("kind"), choices=Kind)
    payload = models.JSONField(_("proposed"))
    edited = models.JSONField(_("as approved"), null=True)
    reason = models.TextField(_("reason"), blank=True, default="")
    status = models.TextField(_("status"), choices=Status, default=Status.PENDING)
    result = models.JSONField(_("result"), null=True)
    decided_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("decided by"))
    decided_at = models.DateTimeField(_("decided"), null=True)
    created_at = models.DateTimeField(_("proposed at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"))

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("proposal")
        verbose_name_plural = _("proposals")
        indexes = [models.Index(fields=["workspace", "status", "-id"], name="ai_proposals_by_status")]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"
