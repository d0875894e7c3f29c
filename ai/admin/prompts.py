"""Prompts in the admin: versions, the cases that they are tried on, and how they did."""

import json
from typing import Any

import orjson
from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin import user_of
from ai import jobs, openai_gateway
from ai.errors import NothingToTry
from ai.models import Prompt, PromptCase, PromptEvaluation, PromptVersion
from ai.prompts import cases, versions
from ai.prompts.keys import KEYS
from leads.admin.acts import links
from zevix.admin_site import ReadOnly, TenantAdmin
from zevix.errors import Refusal, ValidationFailed

# Prompts --------------------------------------------------------------------------------------------------------------------


class PromptForm(forms.ModelForm):
    """A prompt of a workspace's own; everybody's are there from the start."""

    key = forms.ChoiceField(choices=[(key, key) for key in KEYS], widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Prompt
        fields = ["workspace", "key"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "workspace" in self.fields:
            self.fields["workspace"].required = True


@admin.register(Prompt)
class PromptAdmin(TenantAdmin):
    icon = "edit_document"
    form = PromptForm
    list_display = ["key", "workspace", "published", "created_at"]
    list_select_related = ["workspace"]
    search_fields = ["key", "workspace__name"]
    autocomplete_fields = ["workspace"]
    ordering = ["key", "id"]
    actions = ["roll_back"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        published = PromptVersion.objects.filter(prompt=OuterRef("pk"), status=PromptVersion.Status.PUBLISHED)
        return super().get_queryset(request).annotate(published_number=Subquery(published.values("number")))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return ["workspace", "key", "published", "created_at", "see_also"] if obj else ["workspace", "key"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "key", "published", "created_at", "see_also"] if obj else fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Everybody's stay: an action without a prompt could say nothing."""
        return super().has_delete_permission(request, obj) and (obj is None or obj.workspace_id is not None)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        shown, counts, _needed, protected = super().get_deleted_objects(objs, request)
        return shown, counts, set(), protected  # its versions go with a prompt, though none goes alone

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Prompt]) -> None:
        super().delete_queryset(request, queryset.exclude(workspace=None))

    def save_model(self, request: HttpRequest, obj: Prompt, form: Any, change: bool) -> None:
        made = versions.create(obj.key, {}, workspace=obj.workspace, by=user_of(request))  # type: ignore[arg-type]  # the form asks for one
        obj.__dict__.update(made.__dict__)

    @admin.action(description=_("Roll back"), permissions=["change"])
    def roll_back(self, request: HttpRequest, queryset: QuerySet[Prompt]) -> None:
        for prompt in queryset:
            try:
                version = versions.roll_back(prompt, by=user_of(request))
            except Refusal as refusal:
                self.message_user(request, f"{prompt}: {refusal}", messages.ERROR)
                continue
            self.message_user(request, _("{version} is published again.").format(version=version), messages.SUCCESS)

    @display(description=_("published version"), ordering="published_number")
    def published(self, prompt: Any) -> str:
        return str(prompt.published_number or "")

    @display(description=_("see also"))
    def see_also(self, prompt: Prompt) -> SafeString:
        return links(*((model, f"prompt__id__exact={prompt.pk}") for model in (PromptVersion, PromptCase)))


# Versions -------------------------------------------------------------------------------------------------------------------


class VersionForm(forms.ModelForm):
    class Meta:
        model = PromptVersion
        fields = ["prompt", *versions.WRITTEN]
        widgets = dict.fromkeys(("model", "note"), UnfoldAdminTextInputWidget)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        prompt = self.instance.prompt if self.instance.pk else cleaned.get("prompt")
        if prompt and "english" in cleaned:
            _adopt(self, versions.check, prompt.key, cleaned)
        return cleaned


class _OfAPrompt(TenantAdmin):
    """Rows of a prompt, chosen when they are added."""

    workspace_path = "prompt__workspace"
    list_select_related = ["prompt__workspace"]
    autocomplete_fields = ["prompt"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), *(["prompt"] if obj else [])]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return lookup == "prompt__id__exact" or super().lookup_allowed(lookup, value, request)

    @display(description=_("workspace"), ordering="prompt__workspace__name")
    def whose(self, row: Any) -> str:
        return str(row.prompt.workspace or _("everybody"))


@admin.register(PromptVersion)
class PromptVersionAdmin(_OfAPrompt):
    """Drafts are written here; a version that was published stays as it is."""

    icon = "history_edu"
    form = VersionForm
    list_display = ["prompt", "number", "coloured_status", "note", "refusal", "whose", "person", "created_at"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["prompt__workspace", "user"]
    search_fields = ["prompt__key", "note"]
    ordering = ["prompt_id", "-number"]
    actions = ["publish", "evaluate"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        written = ["english", "german", ("model", "temperature", "max_output_tokens"), "note"]
        refusal = ["refusal"] if obj and obj.refusal else []
        told = [("prompt", "number", "status"), *refusal, *written, ("person", "created_at")]
        return told if obj else ["prompt", *written]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "number", "status", "refusal", "person", "created_at"] if obj else fields

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or not versions.is_fixed(obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None and self.has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: PromptVersion, form: Any, change: bool) -> None:
        written = {name: form.cleaned_data[name] for name in versions.WRITTEN}
        if change:
            versions.change(PromptVersion.objects.get(pk=obj.pk), written)
        else:
            made = versions.draft(obj.prompt, written, by=user_of(request))
            obj.__dict__.update(made.__dict__)

    @admin.action(description=_("Publish"), permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet[PromptVersion]) -> None:
        for version in queryset.select_related("prompt"):
            warning = versions.warning(version)
            versions.publish(version, by=user_of(request))
            said = _("{version} is published.").format(version=version)
            self.message_user(request, f"{said} {warning}".strip(), messages.WARNING if warning else messages.SUCCESS)

    @admin.action(description=_("Evaluate"), permissions=["change"])
    def evaluate(self, request: HttpRequest, queryset: QuerySet[PromptVersion]) -> None:
        openai_gateway.require_configured()
        for version in queryset.select_related("prompt"):
            if not version.prompt.cases.exists():
                self.message_user(request, f"{version}: {NothingToTry.message}", messages.ERROR)
                continue
            jobs.evaluate_prompt.defer(version_id=version.pk, user_id=user_of(request).pk)
            said = _("{version} is being tried on its prompt's cases.").format(version=version)
            self.message_user(request, said, messages.SUCCESS)

    @display(
        description=_("status"), ordering="status",
        label={PromptVersion.Status(value).label: colour for value, colour in (("draft", "info"), ("published", "success"))},
    )  # fmt: skip
    def coloured_status(self, version: PromptVersion) -> str:
        return version.get_status_display()


# Cases ----------------------------------------------------------------------------------------------------------------------


class _Decoder(json.JSONDecoder):
    """Half a surrogate pair is no text: the page that shows it again could not be written."""

    def decode(self, text: str, *args: Any) -> Any:
        return orjson.loads(text)


class _JSON(forms.JSONField):
    """For Django an empty object is none; `cases.check` knows better."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"decoder": _Decoder, "required": False})


class CaseForm(forms.ModelForm):
    language = forms.ChoiceField(choices=[("en", _("English")), ("de", _("German"))], widget=UnfoldAdminSelectWidget)

    class Meta:
        model = PromptCase
        fields = ["prompt", "name", "language", "variables", "checks"]
        field_classes = dict.fromkeys(("variables", "checks"), _JSON)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        prompt = self.instance.prompt if self.instance.pk else cleaned.get("prompt")
        if {"variables", "checks"} <= set(cleaned):
            _adopt(self, cases.check, cleaned)
        if prompt and prompt.cases.filter(name=cleaned.get("name")).exclude(pk=self.instance.pk).exists():
            self.add_error("name", _("There is a case of this name already."))
        return cleaned


@admin.register(PromptCase)
class PromptCaseAdmin(_OfAPrompt):
    icon = "rule"
    form = CaseForm
    list_display = ["name", "prompt", "language", "whose"]
    search_fields = ["name", "prompt__key"]
    fields = [("prompt", "name", "language"), "variables", "checks"]
    ordering = ["prompt_id", "id"]

    def save_model(self, request: HttpRequest, obj: PromptCase, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made = cases.add(
            obj.prompt, {name: form.cleaned_data[name] for name in ("name", "language", "variables", "checks")}
        )
        obj.__dict__.update(made.__dict__)


@admin.register(PromptEvaluation)
class PromptEvaluationAdmin(ReadOnly, TenantAdmin):
    workspace_path = "version__prompt__workspace"
    icon = "fact_check"
    list_display = ["version", "held", "baseline", "held_by_baseline", "created_at"]
    list_select_related = ["version__prompt__workspace", "baseline__prompt"]
    search_fields = ["version__prompt__key"]
    fields = [("version", "held"), ("baseline", "held_by_baseline"), "failed", "created_at"]
    ordering = ["-id"]

    @display(description=_("cases that hold"), ordering="passed")
    def held(self, evaluation: PromptEvaluation) -> str:
        return f"{evaluation.passed} / {evaluation.total}"

    @display(description=_("passed by the published"), ordering="baseline_passed")
    def held_by_baseline(self, evaluation: PromptEvaluation) -> str:
        return "" if evaluation.baseline_passed is None else f"{evaluation.baseline_passed} / {evaluation.total}"

    @display(description=_("checks that failed"))
    def failed(self, evaluation: PromptEvaluation) -> SafeString:
        failures = [
            (
                result["case"],
                ", ".join(f"{kind}: {wanted}" for check in result["failed"] for kind, wanted in check.items()),
            )
            for result in evaluation.results
            if result["failed"]
        ]
        return format_html_join("", "<p>{}: {}</p>", failures)


def _adopt(form: forms.ModelForm, check: Any, *args: Any) -> None:
    """Put what an act would refuse where it stands in a form."""
    try:
        check(*args)
    except ValidationFailed as refusal:
        for name, sentences in (refusal.fields or {}).items():
            form.add_error(name, [str(sentence) for sentence in sentences])
