"""What came from Pipedrive, the runs over many leads, and what waits."""

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Coalesce, NullIf
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from crm.models import ChangedLead, InboxEvent, SyncRun
from crm.pipedrive.events import inbox
from leads.models import Lead
from zevix.admin import StartsWithFilter
from zevix.admin_site import ReadOnly, TenantAdmin

_OUTCOMES = {"waiting": "info", "done": "success", "echo": "default", "ignored": "default"}
_STATUSES = {"queued": "info", "running": "info", "completed": "success", "failed": "danger"}


class EntityFilter(StartsWithFilter):
    title, parameter_name = _("kind"), "entity"


@admin.register(InboxEvent)
class InboxEventAdmin(ReadOnly, TenantAdmin):
    icon = "webhook"
    list_display = [
        "entity", "entity_id", "action", "coloured_outcome", "workspace", "received_at", "done_at", "attempts", "problem",
    ]  # fmt: skip
    list_filter = [("outcome", ChoicesDropdownFilter), EntityFilter]
    list_select_related = ["workspace"]
    search_fields = ["event_id", "entity_id", "problem"]
    fields = [
        ("workspace", "event_id"), ("entity", "entity_id", "action"), ("coloured_outcome", "attempts"), "problem",
        ("sent_at", "received_at", "retry_at", "done_at"), "content",
    ]  # fmt: skip
    readonly_fields = ["coloured_outcome", "content", "attempts", "retry_at", "received_at"]
    ordering = ["-id"]
    actions = ["work_off_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("body")

    @admin.action(description=_("Work off again"), permissions=["view"])
    def work_off_again(self, request: HttpRequest, queryset: QuerySet[InboxEvent]) -> None:
        count = inbox.queue_again(queryset)
        sentence = ngettext("{count} event is queued again.", "{count} events are queued again.", count)
        self.message_user(request, sentence.format(count=count), messages.SUCCESS)

    @display(
        description=_("outcome"),
        ordering="outcome",
        label={label: _OUTCOMES[value] for value, label in InboxEvent.Outcome.choices},
    )
    def coloured_outcome(self, event: InboxEvent) -> str:
        return event.get_outcome_display()

    @display(description=_("content"))
    def content(self, event: InboxEvent) -> SafeString:
        return format_html('<pre class="whitespace-pre-wrap">{}</pre>', json.dumps(event.body, indent=2))


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnly, TenantAdmin):
    icon = "sync"
    list_display = [
        "title", "workspace", "coloured_status", "percent", "done_count", "created_count", "pushed_count", "pulled_count",
        "conflict_count", "failed_count", "created_at",
    ]  # fmt: skip
    list_filter = [("kind", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter)]
    list_select_related = ["workspace"]
    search_fields = ["failure", "user__email"]
    fields = [
        ("title", "workspace", "person"), ("coloured_status", "percent"), "failure", ("total_count", "done_count"),
        ("created_count", "pushed_count", "pulled_count"), ("conflict_count", "failed_count"), "problems",
        ("created_at", "finished_at"),
    ]  # fmt: skip
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("lead_ids", "result")

    @display(description=_("run"), ordering="id")
    def title(self, run: SyncRun) -> str:
        return f"{run.get_kind_display()} #{run.pk}"

    @display(
        description=_("status"),
        ordering="status",
        label={label: _STATUSES[value] for value, label in SyncRun.Status.choices},
    )
    def coloured_status(self, run: SyncRun) -> str:
        return run.get_status_display()

    @display(description=_("progress"))
    def percent(self, run: SyncRun) -> str:
        return f"{run.progress} %"

    @display(description=_("problems"))
    def problems(self, run: SyncRun) -> SafeString:
        told = run.result.get("problems", [])
        return format_html_join("", "<p>{}: {}</p>", ((_lead(one["lead_id"]), one["message"]) for one in told))


@admin.register(ChangedLead)
class ChangedLeadAdmin(ReadOnly, TenantAdmin):
    icon = "pending_actions"
    list_display = ["about", "workspace", "changed_at", "attempts", "retry_at", "problem"]
    list_select_related = ["workspace"]
    search_fields = ["lead_id", "problem"]
    fields = ["workspace", "about", "changed_at", ("attempts", "retry_at"), "problem"]
    readonly_fields = ["attempts", "retry_at"]
    ordering = ["changed_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        named = Coalesce(NullIf("company", Value("")), "name", output_field=TextField())
        title = Lead.objects.filter(pk=OuterRef("lead_id")).values(shown=named)
        return super().get_queryset(request).annotate(lead_title=Subquery(title))

    @display(description=_("lead"), ordering="lead_id")
    def about(self, row: Any) -> SafeString | str:
        return _lead(row.lead_id, row.lead_title)


def _lead(lead_id: int, title: str | None = "") -> SafeString | str:
    """A lead by its name, which leads to its page as long as it is there."""
    if title is None:
        return f"#{lead_id}"
    page = reverse("admin:leads_lead_change", args=[lead_id])
    return format_html('<a class="text-link" href="{}">#{} {}</a>', page, lead_id, title)
