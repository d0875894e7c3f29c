"""Analyses of many leads: how far they are, what came of each lead, and what that cost."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from accounts.admin import user_of
from accounts.models import Workspace
from ai.analysis import starting
from ai.models import AnalysisRun, LeadAnalysis
from ai.usage import dollars
from leads.admin.acts import links, tell_of_undo
from leads.admin.leads import LeadAdmin
from leads.admin.merging import ActsOnRows
from leads.models import Lead, LeadQuerySet
from leads.selections import Selection
from zevix.admin_site import ReadOnly, TenantAdmin
from zevix.errors import Refusal

_AT_ONCE = 10_000  # what somebody chooses by hand; more is the API's

_COLOURS = {
    "queued": "default", "running": "info", "completed": "success", "failed": "danger", "cancelled": "warning",
    "waiting": "default", "done": "success", "skipped": "warning",
}  # fmt: skip


class OriginFilter(DropdownFilter):
    title, parameter_name = _("asked by"), "origin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("import", _("An import")), ("person", _("Somebody"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = {"import": False, "person": True}.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(batch__isnull=chosen)


@admin.register(AnalysisRun)
class AnalysisRunAdmin(ActsOnRows, ReadOnly, TenantAdmin):
    icon = "psychology"
    list_display = [
        "title", "workspace", "person", "coloured_status", "percent", "matched_count", "changed_count", "failed_count",
        "cost_told", "created_at",
    ]  # fmt: skip
    list_filter = [("status", ChoicesDropdownFilter), OriginFilter]
    list_select_related = ["workspace", "user", "batch"]
    search_fields = ["user__email", "batch__file_name"]
    fields = [
        ("workspace", "person"), ("imported", "see_also"), ("coloured_status", "percent"), "failure",
        ("matched_count", "analyzed_count", "changed_count"), ("skipped_count", "failed_count", "cost_told"),
        ("created_at", "finished_at"),
    ]  # fmt: skip
    ordering = ["-id"]
    actions = ["cancel", "undo"]

    @admin.action(description=_("Cancel"), permissions=["view"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[AnalysisRun]) -> None:
        count = self.act_on_each(request, queryset, starting.cancel)
        self.report(request, ngettext("{count} analysis cancelled.", "{count} analyses cancelled.", count), count)

    @admin.action(description=_("Undo"), permissions=["view"])
    def undo(self, request: HttpRequest, queryset: QuerySet[AnalysisRun]) -> None:
        for run in queryset.select_related("workspace").order_by("-pk"):
            tell_of_undo(self, request, run.act, run.workspace)

    @display(description=_("analysis"), ordering="id")
    def title(self, run: AnalysisRun) -> str:
        return f"{run} {run.batch.file_name}" if run.batch else str(run)

    @display(
        description=_("status"),
        ordering="status",
        label={label: _COLOURS[value] for value, label in AnalysisRun.Status.choices},
    )
    def coloured_status(self, run: AnalysisRun) -> str:
        return run.get_status_display()

    @display(description=_("progress"), ordering="progress")
    def percent(self, run: AnalysisRun) -> str:
        return f"{run.progress} %"

    @display(description=_("US dollars"), ordering="cost")
    def cost_told(self, run: AnalysisRun) -> str:
        return dollars(run.cost)

    @display(description=_("import"))
    def imported(self, run: AnalysisRun) -> SafeString | str:
        if run.batch is None:
            return ""
        page = reverse("admin:leads_importbatch_change", args=[run.batch_id])
        return format_html('<a class="text-link" href="{}">{}</a>', page, run.batch)

    @display(description=_("see also"))
    def see_also(self, run: AnalysisRun) -> SafeString:
        return links((LeadAnalysis, f"run__id__exact={run.pk}"))


@admin.register(LeadAnalysis)
class LeadAnalysisAdmin(ReadOnly, TenantAdmin):
    icon = "person_search"
    list_display = [
        "about", "run", "workspace", "coloured_status", "found_told", "written_told", "kept_told", "failure", "finished_at",
    ]  # fmt: skip
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["workspace", "run"]
    search_fields = ["lead__company", "lead__name", "lead__email", "failure"]
    fields = [
        ("workspace", "run", "about"), "coloured_status", "failure", "found_told", ("written_told", "kept_told"), "call_told",
        "finished_at",
    ]  # fmt: skip
    ordering = ["-run_id", "id"]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return lookup == "run__id__exact" or super().lookup_allowed(lookup, value, request)

    @display(description=_("lead"), ordering="lead_id")
    def about(self, row: LeadAnalysis) -> SafeString:
        page = reverse("admin:leads_lead_change", args=[row.lead_id])
        return format_html('<a class="text-link" href="{}">#{}</a>', page, row.lead_id)

    @display(
        description=_("status"),
        ordering="status",
        label={label: _COLOURS[value] for value, label in LeadAnalysis.Status.choices},
    )
    def coloured_status(self, row: LeadAnalysis) -> str:
        return row.get_status_display()

    @display(description=_("what the AI found"))
    def found_told(self, row: LeadAnalysis) -> SafeString:
        found = {name: value for name, value in (row.found or {}).items() if value not in (None, "")}
        return format_html_join("", "<p>{}: {}</p>", ((_called(name), _said(value)) for name, value in found.items()))

    @display(description=_("written"))
    def written_told(self, row: LeadAnalysis) -> str:
        return ", ".join(map(_called, row.written))

    @display(description=_("kept"))
    def kept_told(self, row: LeadAnalysis) -> str:
        return ", ".join(map(_called, row.kept))

    @display(description=_("AI call"))
    def call_told(self, row: LeadAnalysis) -> SafeString | str:
        if row.call_id is None:
            return ""
        page = reverse("admin:ai_aicall_change", args=[row.call_id])
        return format_html('<a class="text-link" href="{}">#{}</a>', page, row.call_id)


def _called(field: str) -> str:
    return str(_("reason") if field == "reason" else Lead._meta.get_field(field).verbose_name)  # type: ignore[union-attr]  # no relation is among them


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return str(_("Yes") if value else _("No"))
    return str(value)


@admin.action(description=_("Analyze with AI"), permissions=["change"])
def analyze_with_ai(model_admin: LeadAdmin, request: HttpRequest, queryset: LeadQuerySet) -> None:
    """On the list of leads; a run for each workspace among them."""
    if queryset.count() > _AT_ONCE:
        sentence = _("At most {limit} leads at a time: narrow the list.").format(limit=_AT_ONCE)
        model_admin.message_user(request, sentence, messages.ERROR)
        return
    for workspace in Workspace.objects.filter(pk__in=queryset.order_by().values("workspace"), is_catalogue=False):
        ids = list(queryset.filter(workspace=workspace).values_list("pk", flat=True))
        try:
            run = starting.start(Selection(ids), workspace=workspace, by=user_of(request))
        except Refusal as refusal:
            model_admin.message_user(request, f"{workspace}: {refusal}", messages.ERROR)
            continue
        sentence = ngettext("{count} lead is being analyzed.", "{count} leads are being analyzed.", run.matched_count)
        model_admin.message_user(request, sentence.format(count=run.matched_count), messages.SUCCESS)


LeadAdmin.actions.insert(-1, analyze_with_ai)
