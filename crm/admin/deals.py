"""Deals as they were last read, and those that are still to be made in Pipedrive."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Coalesce, NullIf
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from crm.models import Deal
from crm.pipedrive.deals import wanting
from crm.pipedrive.mapping.setup import Setup
from crm.pipedrive.runs import waking
from leads.admin.merging import ActsOnRows
from leads.models import Lead
from zevix.admin_site import ReadOnly, TenantAdmin

_COLOURS = {
    "queued": "info", "open": "default", "won": "success", "lost": "warning", "deleted": "default", "refused": "danger",
}  # fmt: skip


@admin.register(Deal)
class DealAdmin(ActsOnRows, ReadOnly, TenantAdmin):
    icon = "handshake"
    list_display = ["title", "coloured_status", "money", "about", "is_leading", "problem", "workspace", "created_at"]
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["workspace"]
    search_fields = ["title", "wanted_title", "problem", "remote_id"]
    fields = [
        "workspace", ("title", "coloured_status"), ("about", "is_leading"), ("money", "expected_close_date"),
        ("place", "lost_reason"), ("remote_id", "person_id", "organization_id"), "problem", "note",
        ("wisher", "retry_at"), ("created_at", "updated_at"), ("remote_created_at", "remote_updated_at"),
    ]  # fmt: skip
    ordering = ["-id"]
    actions = ["try_again", "give_up"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        named = Coalesce(NullIf("company", Value("")), "name", output_field=TextField())
        title = Lead.objects.filter(pk=OuterRef("lead")).values(shown=named)
        return super().get_queryset(request).annotate(lead_title=Subquery(title))

    @admin.action(description=_("Try again"), permissions=["view"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Deal]) -> None:
        count = self.act_on_each(request, queryset, _try_again)
        self.report(request, ngettext("{count} deal is tried again.", "{count} deals are tried again.", count), count)

    @admin.action(description=_("Give up"), permissions=["view"])
    def give_up(self, request: HttpRequest, queryset: QuerySet[Deal]) -> None:
        count = self.act_on_each(request, queryset, wanting.give_up)
        self.report(request, ngettext("{count} deal given up.", "{count} deals given up.", count), count)

    @display(description=_("status"), label={label: _COLOURS[value] for value, label in Deal.Status.choices})
    def coloured_status(self, deal: Deal) -> str:
        return str(Deal.Status(deal.status).label)

    @display(description=_("value"), ordering="value")
    def money(self, deal: Deal) -> str:
        return "" if deal.value is None else f"{deal.value:,.2f} {deal.currency}"

    @display(description=_("lead"))
    def about(self, deal: Any) -> SafeString | str:
        if deal.lead_title is None:  # it is in the bin
            return f"#{deal.lead_id}"
        page = reverse("admin:leads_lead_change", args=[deal.lead_id])
        return format_html('<a class="text-link" href="{}">#{} {}</a>', page, deal.lead_id, deal.lead_title)

    @display(description=_("stage"))
    def place(self, deal: Deal) -> str:
        setup = Setup.of(deal.connection.account)
        stages = {stage.id: stage.name for stage in setup.stages}
        names = [setup.pipelines.get(deal.pipeline_id or 0), stages.get(deal.stage_id or 0)]
        return " › ".join(filter(None, names))

    @display(description=_("wanted by"))
    def wisher(self, deal: Deal) -> Any:
        return deal.wanted_by


def _try_again(deal: Deal) -> None:
    wanting.want_again(deal)
    waking.wake(deal.connection_id)
