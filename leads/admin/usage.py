"""The quota's books, and what a workspace may do this month."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin import WorkspaceAdmin
from accounts.models import Membership, Workspace
from billing import entitlements
from billing.admin import SubscriptionInline
from leads import quotas
from leads.admin.acts import links
from leads.models import Export, ImportBatch, Lead, LeadCredit, Usage, UsageEntry
from zevix.admin_site import ReadOnly, TenantAdmin


@admin.register(Usage)
class UsageAdmin(ReadOnly, TenantAdmin):
    icon = "data_usage"
    list_display = ["month", "workspace", "used", "from_credit", "limit_when_charged"]
    list_filter = ["month"]
    list_select_related = ["workspace"]
    search_fields = ["workspace__name", "month"]
    fields = ["workspace", "month", ("used", "from_credit", "limit_when_charged")]
    ordering = ["-month", "-id"]


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
        limit = workspace.monthly_leads + workspace.from_credit + workspace.credit_left
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
