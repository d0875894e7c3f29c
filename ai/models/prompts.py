"""Prompts: what the AI is told, in versions that are tried before they are published."""

from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from zevix.tenancy import TenantQuerySet


class Prompt(models.Model):
    """What an action tells the AI; without a workspace it is everybody's who has none of their own."""

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, null=True, blank=True, related_name="prompts", verbose_name=_("workspace")
    )
    key = models.SlugField(_("key"), max_length=50)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("prompt")
        verbose_name_plural = _("prompts")
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "key"], name="ai_one_prompt_per_workspace_and_key", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return self.key


class PromptVersion(models.Model):
    """A text with its settings. A draft can be changed; one that was published stays as it is."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("draft")
        PUBLISHED = "published", _("published")
        RETIRED = "retired", _("retired")

    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="versions", verbose_name=_("prompt"))
    number = models.PositiveIntegerField(_("number"))
    status = models.TextField(_("status"), choices=Status, default=Status.DRAFT)
    english = models.TextField(_("English"))
    german = models.TextField(_("German"), blank=True, default="")
    model = models.TextField(_("model"), blank=True, default="", help_text=_("Empty: OPENAI_MODEL."))
    temperature = models.FloatField(
        _("temperature"), null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(2)]
    )
    max_output_tokens = models.PositiveIntegerField(
        _("tokens out at most"), default=1_000, validators=[MinValueValidator(16), MaxValueValidator(32_000)]
    )
    note = models.TextField(_("note"), blank=True, default="")
    refusal = models.TextField(_("not evaluated"), blank=True, default="", db_default="", editable=False)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", editable=False, verbose_name=_("by"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("prompt version")
        verbose_name_plural = _("prompt versions")
        constraints = [
            models.UniqueConstraint(fields=["prompt", "number"], name="ai_versions_are_numbered_once"),
            models.UniqueConstraint(
                fields=["prompt"], condition=Q(status="published"), name="ai_one_published_version_per_prompt"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prompt} {self.number}"


class PromptRelease(models.Model):
    """That a version was given a label, such as ``production``; the latest one of a label counts, the one before is what a rollback gives it."""

    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="releases", verbose_name=_("prompt"))
    label = models.SlugField(_("label"), max_length=50, default="production")
    version = models.ForeignKey(PromptVersion, models.CASCADE, related_name="releases", verbose_name=_("version"))
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("by"))
    created_at = models.DateTimeField(_("given"), auto_now_add=True)

    class Meta:
        verbose_name = _("prompt release")
        verbose_name_plural = _("prompt releases")
        indexes = [models.Index(fields=["prompt", "label", "-id"], name="ai_releases_by_label")]

    def __str__(self) -> str:
        return f"{self.label}: {self.version}"


class PromptCase(models.Model):
    """An input, and what must hold of the answer; see `ai.prompts.checks`."""

    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="cases", verbose_name=_("prompt"))
    name = models.CharField(_("name"), max_length=200)
    variables = models.JSONField(_("variables"), default=dict)
    language = models.CharField(_("language"), max_length=2, default="en")
    checks = models.JSONField(_("what must hold"), default=list)

    class Meta:
        verbose_name = _("prompt case")
        verbose_name_plural = _("prompt cases")
        constraints = [models.UniqueConstraint(fields=["prompt", "name"], name="ai_cases_have_names_of_their_own")]

    def __str__(self) -> str:
        return self.name


class PromptEvaluation(models.Model):
    """How a version did on its prompt's cases, beside the one that was published then."""

    version = models.ForeignKey(PromptVersion, models.CASCADE, related_name="evaluations", verbose_name=_("version"))
    baseline = models.ForeignKey(
        PromptVersion, models.SET_NULL, null=True, related_name="+", verbose_name=_("published then")
    )
    results = models.JSONField(_("results"), default=list)
    passed = models.PositiveIntegerField(_("passed"))
    baseline_passed = models.PositiveIntegerField(_("passed by the published"), null=True)
    total = models.PositiveIntegerField(_("cases"))
    created_at = models.DateTimeField(_("evaluated"), auto_now_add=True)

    class Meta:
        verbose_name = _("prompt evaluation")
        verbose_name_plural = _("prompt evaluations")

    def __str__(self) -> str:
        return f"{self.version}: {self.passed}/{self.total}"

    @property
    def is_worse(self) -> bool:
        """Than the version that was published then; or, beside none, than it should be."""
        return self.passed < (self.total if self.baseline_passed is None else self.baseline_passed)
