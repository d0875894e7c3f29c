"""Imports, and the rows that they refused."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.models import Workspace
from leads.admin.acts import links, tell_of_undo
from leads.models import (
    ImportBatch,
    Lead,
    RejectedRow,
)
from zevix.admin_site import ReadOnly, TenantAdmin


@admin.register(ImportBatch)
class ImportBatchAdmin(ReadOnly, TenantAdmin):
    icon = "upload_file"
    list_display = [
        "title", "workspace", "person", "status", "total_rows", "created_count", "updated_count", "skipped_count",
        "error_count", "created_at",
    ]  # fmt: skip
    list_filter = [("mode", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter)]
    list_select_related = ["workspace", "user"]
    search_fields = ["file_name"]
    ordering = ["-id"]
    fieldsets = [
        (None, {"fields": [
            ("file_name", "mode"), ("workspace", "person"), ("status", "ai_analysis"), ("created_at", "finished_at"), "see_also",
        ]}),
        (_("Rows"), {"fields": [
            ("total_rows", "created_count", "updated_count", "unchanged_count"),
            ("skipped_count", "error_count", "needs_action_count", "without_last_contact_count"),
        ]}),
        (_("Columns"), {"fields": ["mapping", "header"]}),
    ]  # fmt: skip
    actions = ["undo"]

    @admin.action(description=_("Undo"), permissions=["view"])
    def undo(self, request: HttpRequest, queryset: QuerySet[ImportBatch]) -> None:
        for batch in queryset.select_related("workspace").order_by("-pk"):
            tell_of_undo(self, request, f"import:{batch.pk}", batch.workspace)

    @display(description=_("import"), ordering="id")
    def title(self, batch: ImportBatch) -> str:
        return str(batch)

    @display(description=_("see also"))
    def see_also(self, batch: ImportBatch) -> SafeString:
        return links(
            (Lead, f"import_batch__id__exact={batch.pk}"), (RejectedRow, f"batch__id__exact={batch.pk}")
        )  # fmt: skip


@admin.register(RejectedRow)
class RejectedRowAdmin(ReadOnly, TenantAdmin):
    icon = "rule"
    workspace_path = "batch__workspace"
    list_display = ["row", "field", "message", "batch", "of_workspace", "cells"]
    list_select_related = ["batch__workspace"]
    search_fields = ["field", "message"]
    fields = ["batch", "row", "field", "message", "cells"]
    ordering = ["-batch_id", "row", "id"]

    @display(description=_("workspace"))
    def of_workspace(self, row: RejectedRow) -> Workspace:
        return row.batch.workspace
