"""The quota's books, and what a workspace may do this month."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin import WorkspaceAdmin, user_of
from accounts.models import Membership, Workspace
from billing import entitlements
from billing.admin import SubscriptionInline
from leads import ledger, quotas
from leads.admin.acts import links
from leads.models import Export, ExportedLead, ImportBatch, Lead, LeadCredit, Usage, UsageAlert, UsageEntry
from zevix.admin_site import ReadOnly, TenantAdmin, is_operator


@admin.register(Usage)
class UsageAdmin(ReadOnly, TenantAdmin):
    icon = "data_usage"
    list_display = ["month", "workspace", "used", "from_credit", "limit_when_charged"]
    list_filter = ["month"]
    list_select_related = ["workspace"]
    search_fields = ["workspace__name", "month"]
    fields = ["workspace", "month", ("used", "from_credit", "limit_when_charged")]
    ordering = ["-month", "-id"]


class AdjustmentForm(forms.ModelForm):
    """An entry by the operator's hand."""

    class Meta:
        model = UsageEntry
        fields = ["workspace", "leads", "credits", "reason"]
        help_texts = {
            "leads": _("Added to what was used this month; less than 0 gives leads back."),
            "credits": _("Leads on top of the plan, in whatever month, until they are used."),
            "reason": _("The workspace reads it."),
        }

    def validate_constraints(self) -> None:
        """`ledger.adjust` refuses in words what these would."""


@admin.register(UsageEntry)
class UsageEntryAdmin(ReadOnly, TenantAdmin):
    """The ledger. What is added is an adjustment, by the operator."""

    icon = "receipt"
    form = AdjustmentForm
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextInputWidget}}
    autocomplete_fields = ["workspace"]
    list_display = ["created_at", "workspace", "month", "kind", "leads", "credits", "reason", "person"]
    list_filter = [("kind", ChoicesDropdownFilter), "month"]
    list_select_related = ["workspace", "user"]
    search_fields = ["reason"]
    ordering = ["-id"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is None:
            return ["workspace", ("leads", "credits"), "reason"]
        return ["workspace", ("month", "kind", "created_at"), ("leads", "credits"), "reason", "person", "see_also"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return ["month", "kind", "created_at", "person", "see_also", *super().get_readonly_fields(request, obj)]

    def save_model(self, request: HttpRequest, entry: UsageEntry, form: Any, change: bool) -> None:
        made = ledger.adjust(**form.cleaned_data, by=user_of(request))
        entry.__dict__.update(made.__dict__)

    @display(description=_("see also"))
    def see_also(self, entry: UsageEntry) -> SafeString:
        named = [(Export, entry.export_id), (ExportedLead, entry.refunded_id)]
        return links(*((model, f"id__exact={key}") for model, key in named if key))


@admin.register(LeadCredit)
class LeadCreditAdmin(ReadOnly, TenantAdmin):
    icon = "savings"
    list_display = ["balance", "workspace"]
    list_select_related = ["workspace"]
    search_fields = ["workspace__name"]
    fields = ["workspace", "balance"]
    ordering = ["-workspace"]


@admin.register(UsageAlert)
class UsageAlertAdmin(ReadOnly, TenantAdmin):
    icon = "notifications_active"
    list_display = ["created_at", "workspace", "month", "percent", "plan"]
    list_filter = ["month", "threshold"]
    list_select_related = ["workspace"]
    fields = ["workspace", ("month", "percent", "plan"), "created_at"]
    ordering = ["-id"]

    @display(description=_("of the limit"), ordering="threshold")
    def percent(self, alert: UsageAlert) -> str:
        return f"{alert.threshold}%"


admin.site.unregister(Workspace)


@admin.register(Workspace)
class WorkspaceWithQuotaAdmin(WorkspaceAdmin):
    list_display = ["name", "plan", "quota", "credit", "member_count", "created_at"]
    fields = ["name", ("plan", "quota", "credit"), ("member_count", "created_at"), "see_also"]
    readonly_fields = ["plan", "quota", "credit", "member_count", "created_at", "see_also"]
    inlines = [SubscriptionInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        usage = Usage.objects.filter(workspace=OuterRef("pk"), month=quotas.current_month())
        credit = LeadCredit.objects.filter(workspace=OuterRef("pk"))
        return entitlements.with_plans(super().get_queryset(request)).annotate(
            used_now=Coalesce(Subquery(usage.values("used")), 0),
            from_credit=Coalesce(Subquery(usage.values("from_credit")), 0),
            credit_left=Coalesce(Subquery(credit.values("balance")), 0),
        )

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.inlines if obj and not obj.is_catalogue else []

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return list(super().get_fields(request, obj)) if obj else ["name"]

    @display(description=_("plan"), ordering="plan_name")
    def plan(self, workspace: Any) -> Any:
        return _("none: the operator's catalogue") if workspace.is_catalogue else workspace.plan_name

    @display(description=_("exported this month"), ordering="used_now")
    def quota(self, workspace: Any) -> str:
        limit = quotas.limit(workspace.monthly_leads, workspace.from_credit, workspace.credit_left)
        return "" if workspace.is_catalogue else f"{workspace.used_now:,} / {limit:,}"

    @display(description=_("lead credit"), ordering="credit_left")
    def credit(self, workspace: Any) -> str:
        return "" if workspace.is_catalogue else f"{workspace.credit_left:,}"

    @display(description=_("see also"))
    def see_also(self, workspace: Workspace) -> SafeString:
        return links(
            *(
                (model, f"workspace__id__exact={workspace.pk}")
                for model in (Lead, Membership, ImportBatch, Export, Usage, UsageEntry)
            )
        )
