"""Whom a workspace does not want to buy or write to."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from leads import suppressions
from leads.forms import Lines
from leads.models import Suppression
from zevix.admin_site import TenantAdmin

_TOLD = 20  # lines that are wrong


class SuppressionsForm(forms.ModelForm):
    """As many addresses and domains as somebody pastes."""

    values = Lines()

    class Meta:
        model = Suppression
        fields = ["workspace", "reason"]
        widgets = {"reason": UnfoldAdminTextInputWidget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "values" in self.fields:  # a row that is there is only shown
            self.fields["values"].label = capfirst(str(_("addresses and domains")))
            self.fields["values"].required = True
            self.fields["values"].widget = UnfoldAdminTextareaWidget(attrs={"rows": 12})

    def clean_values(self) -> list[str]:
        cleaned, wrong = [], []
        for line in self.cleaned_data["values"]:
            try:
                cleaned.append(suppressions.clean(line))
            except ValueError as error:
                wrong.append(f"{line[:100]}: {error}")
        if wrong:
            raise forms.ValidationError(wrong[:_TOLD])
        return cleaned


@admin.register(Suppression)
class SuppressionAdmin(TenantAdmin):
    icon = "block"
    form = SuppressionsForm
    list_display = ["value", "kind", "reason", "workspace", "person", "created_at"]
    list_filter = [("kind", ChoicesDropdownFilter)]
    list_select_related = ["workspace", "user"]
    search_fields = ["value", "reason"]
    autocomplete_fields = ["workspace"]
    ordering = ["-id"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj:
            return [("value", "kind"), "reason", ("workspace", "person"), "created_at"]
        return ["workspace", "values", "reason"]

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        values = form.cleaned_data["values"]
        added = suppressions.add(values, reason=obj.reason, workspace=obj.workspace, user_id=request.user.pk)
        obj.__dict__.update(suppressions.find(values[0], obj.workspace).get().__dict__)
        told = _("{added} added, {known} known before or given twice.").format(added=added, known=len(values) - added)
        self.message_user(request, told, messages.SUCCESS)
