"""What was exported."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from leads.admin.acts import links
from leads.admin.downloads import WithDownloads
from leads.admin.refunds import RefundsDead
from leads.models import Export, ExportedLead, ExportQuote, Lead, UsageEntry
from zevix.admin_site import ReadOnly, TenantAdmin

_SHOWN = 1_000  # ids of a list
_COLOURS = {"queued": "info", "running": "info", "completed": "success", "failed": "danger"}


@admin.register(Export)
class ExportAdmin(ReadOnly, WithDownloads):
    icon = "receipt_long"
    list_display = [
        "title", "workspace", "person", "coloured_status", "progress", "new_count", "duplicate_count", "not_exported_count",
        "unknown_count", "quota", "created_at",
    ]  # fmt: skip
    list_filter = [("status", ChoicesDropdownFilter), "month"]
    list_select_related = ["workspace", "user"]
    search_fields = ["user__email"]
    ordering = ["-id"]
    fields = [
        ("workspace", "person"), ("status", "progress"), "failure", ("month", "created_at", "finished_at"),
        ("new_count", "duplicate_count", "not_exported_count", "unknown_count"), ("used", "limit"), "files", "see_also",
        "named",
    ]  # fmt: skip

    @display(description=_("export"), ordering="id")
    def title(self, export: Export) -> str:
        return str(export)

    @display(description=_("used afterwards"), ordering="used")
    def quota(self, export: Export) -> str:
        return f"{export.used:,} / {export.limit:,}"

    @display(description=_("status"), ordering="status", label=_COLOURS)
    def coloured_status(self, export: Export) -> tuple[str, str]:
        return export.status, export.get_status_display()

    @display(description=_("ids as they were given"))
    def named(self, export: Export) -> SafeString:
        return format_html_join(
            "", "<p>{}: {}</p>", ((name, _first(ids)) for name, ids in (export.lists or {}).items() if ids)
        )

    @display(description=_("see also"))
    def see_also(self, export: Export) -> SafeString:
        mine = f"export__id__exact={export.pk}"
        return links((ExportedLead, mine), (UsageEntry, mine), (ExportQuote, mine))


def _first(ids: list[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (" …" if len(ids) > _SHOWN else "")


@admin.register(ExportQuote)
class ExportQuoteAdmin(ReadOnly, TenantAdmin):
    icon = "request_quote"
    list_display = [
        "title", "workspace", "person", "new_count", "owned_count", "suppressed_count", "undeliverable_count",
        "unknown_count", "cost", "created_at", "expires_at", "export",
    ]  # fmt: skip
    list_select_related = ["workspace", "user", "export"]
    search_fields = ["user__email"]
    ordering = ["-id"]
    fields = [
        ("workspace", "person"), ("created_at", "expires_at"),
        ("new_count", "owned_count", "suppressed_count", "undeliverable_count", "unknown_count"),
        ("cost", "remaining_after"), "export",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExportQuote]:
        return super().get_queryset(request).defer("leads", "export__leads", "export__lists")

    @display(description=_("quote"), ordering="id")
    def title(self, quote: ExportQuote) -> str:
        return f"#{quote.pk}"


@admin.register(ExportedLead)
class ExportedLeadAdmin(RefundsDead, ReadOnly, TenantAdmin):
    """The lead may be gone, so it is never joined: rows would vanish from the list."""

    icon = "verified"
    actions = ["refund_dead"]
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
