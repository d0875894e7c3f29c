"""Plans, and which workspace has which: the operator's alone."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RelatedDropdownFilter
from unfold.decorators import display

from accounts.models import Workspace
from billing.models import FREE, Plan, Subscription
from zevix.admin_site import OperatorAdmin, is_operator


@admin.register(Plan)
class PlanAdmin(OperatorAdmin):
    """The free plan keeps its code and stays: it is everyone's first. The database keeps every plan that somebody has."""

    icon = "sell"
    list_display = ["name", "code", "monthly_leads", "is_active", "workspace_count"]
    search_fields = ["name", "code"]
    fields = [("name", "code"), ("monthly_leads", "is_active")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        return super().get_queryset(request).annotate(workspaces=Count("subscriptions"))

    @display(description=_("given to workspaces"), ordering="workspaces")
    def workspace_count(self, plan: Any) -> int:
        return plan.workspaces

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["code"] if obj and obj.code == FREE else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request) and (obj is None or obj.code != FREE)


class SubscriptionForm(forms.ModelForm):
    def clean_workspace(self) -> Workspace:
        workspace: Workspace = self.cleaned_data["workspace"]
        if workspace.is_catalogue:
            raise forms.ValidationError(_("The catalogue belongs to the operator; it has no plan."))
        return workspace


@admin.register(Subscription)
class SubscriptionAdmin(OperatorAdmin):
    """Deleting one gives the workspace the free plan again."""

    icon = "card_membership"
    form = SubscriptionForm
    list_display = ["workspace", "plan", "created_at", "updated_at"]
    list_filter = [("plan", RelatedDropdownFilter), ("workspace", AutocompleteSelectFilter)]
    list_select_related = ["workspace", "plan"]
    search_fields = ["workspace__name"]
    autocomplete_fields = ["workspace"]
    ordering = ["-id"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["workspace", "plan", "created_at", "updated_at"] if obj else ["workspace", "plan"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["workspace", "created_at", "updated_at"] if obj else []


class SubscriptionInline(StackedInline):
    """The plan on a workspace's page; without one it has the free plan."""

    model = Subscription
    fields = ["plan", "updated_at"]
    readonly_fields = ["updated_at"]
    extra = max_num = 1
    verbose_name = verbose_name_plural = _("plan given")
