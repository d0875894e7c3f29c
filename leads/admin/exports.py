"""What was exported, and what a workspace may do this month."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf
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
from leads.models import (
    Export,
    ExportedLead,
    ImportBatch,
    Lead,
    Usage,
)
from zevix.admin_site import ReadOnly, TenantAdmin


@admin.register(Export)
class ExportAdmin(ReadOnly, TenantAdmin):
    icon = "receipt_long"
    list_display = [
        "title", "workspace", "person", "new_count", "duplicate_count", "not_exported_count", "unknown_count", "quota",
        "created_at",
    ]  # fmt: skip
    list_filter = ["month"]
    list_select_related = ["workspace", "user"]
    search_fields = ["user__email"]
    ordering = ["-id"]
    fields = [
        ("workspace", "person"), ("month", "created_at"),
        ("new_count", "duplicate_count", "not_exported_count", "unknown_count"), ("used", "limit"), "see_also",
    ]  # fmt: skip

    @display(description=_("export"), ordering="id")
    def title(self, export: Export) -> str:
        return str(export)

    @display(description=_("used afterwards"), ordering="used")
    def quota(self, export: Export) -> str:
        return f"{export.used:,} / {export.limit:,}"

    @display(description=_("see also"))
    def see_also(self, export: Export) -> SafeString:
        return links((ExportedLead, f"export__id__exact={export.pk}"))


@admin.register(ExportedLead)
class ExportedLeadAdmin(ReadOnly, TenantAdmin):
    """The lead may be gone, so it is never joined: rows would vanish from the list."""

    icon = "verified"
    list_display = ["lead_id", "title", "workspace", "export", "exported_at"]
    list_select_related = ["workspace", "export"]
    search_fields = ["lead_id"]
    search_help_text = _("A lead's id, or words in it.")
    fields = ["lead_id", "title", "workspace", "export", "exported_at"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExportedLead]:
        named = [NullIf(F(name), Value("", models.TextField())) for name in ("company", "name", "email")]
        lead = Lead.objects.filter(pk=OuterRef("lead_id")).values(shown=Coalesce(*named))
        return super().get_queryset(request).annotate(lead_title=Subquery(lead))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ExportedLead], search_term: str
    ) -> tuple[QuerySet[ExportedLead], bool]:
        term = search_term.strip()
        if term.isascii() and term.isdigit() and len(term) < 19:
            return queryset.filter(lead=int(term)), False
        return (queryset.filter(lead__in=Lead.objects.search(term).values("pk")) if term else queryset), False

    @display(description=_("lead"))
    def title(self, charge: Any) -> str:
        return charge.lead_title or ""

    @display(description=_("id"), ordering="lead")
    def lead_id(self, charge: ExportedLead) -> int:
        return charge.lead_id

    @display(description=_("exported"), ordering="export__created_at")
    def exported_at(self, charge: ExportedLead) -> Any:
        return charge.export.created_at


@admin.register(Usage)
class UsageAdmin(ReadOnly, TenantAdmin):
    icon = "data_usage"
    list_display = ["month", "workspace", "used", "limit_when_charged"]
    list_filter = ["month"]
    list_select_related = ["workspace"]
    search_fields = ["workspace__name", "month"]
    fields = ["workspace", "month", "used", "limit_when_charged"]
    ordering = ["-month", "-id"]


admin.site.unregister(Workspace)


@admin.register(Workspace)
class WorkspaceWithQuotaAdmin(WorkspaceAdmin):
    list_display = ["name", "plan", "quota", "member_count", "created_at"]
    fields = ["name", ("plan", "quota"), ("member_count", "created_at"), "see_also"]
    readonly_fields = ["plan", "quota", "member_count", "created_at", "see_also"]
    inlines = [SubscriptionInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        used = Usage.objects.filter(workspace=OuterRef("pk"), month=quotas.current_month()).values("used")
        return entitlements.with_plans(super().get_queryset(request)).annotate(used_now=Coalesce(Subquery(used), 0))

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.inlines if obj and not obj.is_catalogue else []

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return list(super().get_fields(request, obj)) if obj else ["name"]

    @display(description=_("plan"), ordering="plan_name")
    def plan(self, workspace: Any) -> Any:
        return _("none: the operator's catalogue") if workspace.is_catalogue else workspace.plan_name

    @display(description=_("exported this month"), ordering="used_now")
    def quota(self, workspace: Any) -> str:
        return "" if workspace.is_catalogue else f"{workspace.used_now:,} / {workspace.monthly_leads:,}"

    @display(description=_("see also"))
    def see_also(self, workspace: Workspace) -> SafeString:
        return links(
            *(
                (model, f"workspace__id__exact={workspace.pk}")
                for model in (Lead, Membership, ImportBatch, Export, Usage)
            )
        )
