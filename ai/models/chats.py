"""Talks with visitors and with people of the team, and what the AI would do if somebody agreed."""

import uuid
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from leads.models import Lead
from zevix.tenancy import TenantQuerySet


class ChatSession(models.Model):
    """A talk. A visitor's is reached by its id alone, which nobody can guess; a user's by that user.

    ``summary`` stands for the messages up to ``summarized_seq``. ``reads_untrusted`` says that words of strangers (a visitor's, a lead's
    fields, a document's) are part of it, so that what it wants to write becomes a proposal. ``busy_until`` is set while an answer is written.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="chats", db_index=False, verbose_name=_("workspace")
    )
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="chats", verbose_name=_("user"))
    visitor_id = models.TextField(
        _("visitor"), blank=True, default="", help_text=_("As their signed identity names them.")
    )
    visitor = models.JSONField(_("what the visitor said of themselves"), default=dict)
    lead = models.ForeignKey(
        Lead, models.DO_NOTHING, null=True, related_name="+", db_constraint=False, verbose_name=_("lead")
    )
    language = models.CharField(_("language"), max_length=2, default="en")
    summary = models.TextField(_("summary"), blank=True, default="")
    summarized_seq = models.PositiveIntegerField(default=0)
    last_seq = models.PositiveIntegerField(_("messages"), default=0)
    reads_untrusted = models.BooleanField(_("has read words of strangers"), default=False)
    busy_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("begun"), auto_now_add=True)
    last_at = models.DateTimeField(_("last message"), default=timezone.now)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("chat")
        verbose_name_plural = _("chats")
        indexes = [
            models.Index(fields=["workspace", "last_at", "id"], name="ai_chats_latest_first"),
            models.Index(fields=["user", "workspace", "last_at", "id"], name="ai_chats_of_a_user"),
            models.Index(fields=["lead", "-last_at"], condition=Q(lead__isnull=False), name="ai_chats_with_a_lead"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ChatMessage(models.Model):
    """What somebody said. ``sources`` are the passages that an answer cites, ``tools`` what the AI used for it and what came of that.
    An answer that ``is_broken_off`` is what had been passed on until then.

    ``request_key`` is the hash of the ``Idempotency-Key`` under which a message came, ``request_hash`` that of what was asked.
    """

    class Role(models.TextChoices):
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="+", db_index=False, verbose_name=_("workspace")
    )
    session = models.ForeignKey(
        ChatSession, models.CASCADE, related_name="messages", db_index=False, verbose_name=_("chat")
    )
    seq = models.PositiveIntegerField(_("number"))
    role = models.TextField(_("role"), choices=Role)
    text = models.TextField(_("text"), blank=True, default="")
    sources = models.JSONField(_("sources"), default=list)
    tools = models.JSONField(_("tools"), default=list)
    is_broken_off = models.BooleanField(_("broken off"), default=False)
    answers = models.ForeignKey("self", models.CASCADE, null=True, editable=False, related_name="answered_by")
    request_key = models.CharField(max_length=64, blank=True, default="", editable=False)
    request_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    created_at = models.DateTimeField(_("said"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("chat message")
        verbose_name_plural = _("chat messages")
        constraints = [
            models.UniqueConstraint(fields=["session", "seq"], name="ai_messages_are_in_one_order"),
            models.UniqueConstraint(
                fields=["workspace", "request_key"], condition=~Q(request_key=""), name="ai_a_message_comes_once"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class ProposalQuerySet(TenantQuerySet["Proposal"]):
    def open(self) -> Self:
        """Those that somebody may still decide on."""
        return self.filter(status=Proposal.Status.PENDING, expires_at__gt=timezone.now())

    def standing(self, status: str) -> Self:
        """Those that have a status now: of one past its time it is EXPIRED, whether or not the job has been there."""
        if status == Proposal.Status.PENDING:
            return self.open()
        late = Q(status=Proposal.Status.PENDING, expires_at__lte=timezone.now())
        return self.filter(Q(status=status) | late if status == Proposal.Status.EXPIRED else Q(status=status))


class Proposal(models.Model):
    """Something that the AI wants to write, and a person has to agree to. ``edited`` is what they made of it, ``result`` what came of it.

    ``lead`` is the one that it is about, or that it made.
    """

    class Kind(models.TextChoices):
        CREATE_LEAD = "create_lead", _("add a lead")
        CREATE_DEAL = "create_deal", _("add a deal")

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")
        EXPIRED = "expired", _("expired")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="proposals", db_index=False, verbose_name=_("workspace")
    )
    session = models.ForeignKey(
        ChatSession, models.SET_NULL, null=True, related_name="proposals", verbose_name=_("chat")
    )
    kind = models.TextField(_("kind"), choices=Kind)
    payload = models.JSONField(_("proposed"))
    edited = models.JSONField(_("as approved"), null=True)
    reason = models.TextField(_("reason"), blank=True, default="")
    status = models.TextField(_("status"), choices=Status, default=Status.PENDING)
    lead = models.ForeignKey(
        Lead, models.DO_NOTHING, null=True, related_name="+", db_constraint=False, verbose_name=_("lead")
    )
    result = models.JSONField(_("result"), null=True)
    decided_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("decided by"))
    decided_at = models.DateTimeField(_("decided"), null=True)
    created_at = models.DateTimeField(_("proposed at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"))

    objects: ClassVar[Any] = ProposalQuerySet.as_manager()

    class Meta:
        verbose_name = _("proposal")
        verbose_name_plural = _("proposals")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["pending", "expired"], decided_at__isnull=True)
                | Q(status__in=["approved", "rejected"], decided_at__isnull=False),
                name="ai_a_decision_has_its_moment",
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="ai_proposals_page"),
            models.Index(fields=["expires_at"], condition=Q(status="pending"), name="ai_proposals_that_wait"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"

    @property
    def standing(self) -> str:
        """The status as of now."""
        is_late = self.status == self.Status.PENDING and self.expires_at <= timezone.now()
        return self.Status.EXPIRED.value if is_late else self.status
