"""What was exported."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from leads.admin.acts import links
from leads.admin.downloads import WithDownloads
from leads.models import Export, ExportedLead, Lead
from zevix.admin_site import ReadOnly, TenantAdmin


@admin.register(Export)
class ExportAdmin(ReadOnly, WithDownloads):
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
        ("new_count", "duplicate_count", "not_exported_count", "unknown_count"), ("used", "limit"), "files", "see_also",
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
