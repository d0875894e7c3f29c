"""Custom fields, saved views, and acts upon many leads."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from leads import custom_fields
from leads.admin.acts import author, tell_of_undo
from leads.forms import Lines
from leads.models import BulkChange, CustomField, SavedView
from zevix.admin_site import ReadOnly, TenantAdmin, is_operator


class CustomFieldForm(forms.ModelForm):
    choices = Lines()

    class Meta:
        model = CustomField
        fields = ["workspace", "key", "label", "kind", "choices", "position"]
        widgets = dict.fromkeys(("key", "label"), UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["choices"].label = capfirst(str(CustomField._meta.get_field("choices").verbose_name))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "kind" in cleaned and "choices" in cleaned:
            try:
                cleaned["choices"] = custom_fields.checked_choices(cleaned["kind"], cleaned["choices"])
            except ValueError as error:
                self.add_error("choices", str(error))
        return cleaned


@admin.register(CustomField)
class CustomFieldAdmin(TenantAdmin):
    icon = "edit_note"
    form = CustomFieldForm
    list_display = ["label", "key", "coloured_kind", "listed_choices", "position", "workspace"]
    list_filter = [("kind", ChoicesDropdownFilter)]
    list_select_related = ["workspace"]
    search_fields = ["key", "label"]
    autocomplete_fields = ["workspace"]
    fields = ["workspace", ("key", "label"), "kind", "choices", "position"]
    ordering = ["workspace_id", "position", "id"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), *(["key"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: CustomField, form: Any, change: bool) -> None:
        by = author(request)
        written = {name: form.cleaned_data[name] for name in form.cleaned_data if name != "workspace"}
        if change:
            before = CustomField.objects.get(pk=obj.pk)
            custom_fields.redefine(before, {name: written[name] for name in form.changed_data}, by=by)
        else:
            obj.pk = custom_fields.define(written, workspace=obj.workspace, by=by).pk

    @display(description=_("kind"), ordering="kind", label=True)
    def coloured_kind(self, field: CustomField) -> str:
        return field.get_kind_display()

    @display(description=_("choices"))
    def listed_choices(self, field: CustomField) -> str:
        return ", ".join(field.choices)


@admin.register(SavedView)
class SavedViewAdmin(ReadOnly, TenantAdmin):
    """Managers see, and may delete, their own views and those that are shared."""

    icon = "filter_alt"
    list_display = ["name", "person", "is_shared", "asked", "ordering", "workspace", "updated_at"]
    list_filter = ["is_shared"]
    list_select_related = ["workspace", "user"]
    search_fields = ["name"]
    fields = [
        "name",
        ("workspace", "person"),
        "is_shared",
        "asked",
        "ordering",
        "columns",
        ("created_at", "updated_at"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedView]:
        views = super().get_queryset(request)
        return views if is_operator(request) else views.filter(Q(is_shared=True) | Q(user=request.user.pk))

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["-id"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request) and self._is_within_reach(request, obj)

    @display(description=_("filters"))
    def asked(self, view: SavedView) -> str:
        return " · ".join(f"{name}={_as_text(value)}" for name, value in view.filters.items())


@admin.register(BulkChange)
class BulkChangeAdmin(ReadOnly, TenantAdmin):
    icon = "checklist"
    list_display = [
        "title", "kind", "workspace", "person", "status", "progress", "matched_count", "changed_count", "created_at",
    ]  # fmt: skip
    list_filter = [("kind", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter)]
    list_select_related = ["workspace", "user"]
    search_fields = ["user__email"]
    ordering = ["-id"]
    fields = [
        ("title", "kind"), ("workspace", "person"), ("status", "progress"), ("matched_count", "changed_count"), "failure",
        "done", "meant", ("created_at", "finished_at"),
    ]  # fmt: skip
    actions = ["undo"]

    @admin.action(description=_("Undo"), permissions=["view"])
    def undo(self, request: HttpRequest, queryset: QuerySet[BulkChange]) -> None:
        for change in queryset.select_related("workspace").order_by("-pk"):
            tell_of_undo(self, request, f"bulk:{change.pk}", change.workspace)

    @display(description=_("bulk change"), ordering="id")
    def title(self, change: BulkChange) -> str:
        return str(change)

    @display(description=_("changes"))
    def done(self, change: BulkChange) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(change.changes, indent=2, ensure_ascii=False))

    @display(description=_("which leads"))
    def meant(self, change: BulkChange) -> str:
        if "ids" in change.selection:
            return ", ".join(map(str, change.selection["ids"][:1_000]))
        return " · ".join(f"{name}={_as_text(value)}" for name, value in (change.selection.get("filter") or {}).items())


def _as_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
