"""What the AI wants to write, to be agreed to or not."""

from typing import Any

from django.contrib import admin
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
from ai.models import Proposal
from ai.proposals import deciding
from leads.admin.merging import ActsOnRows
from leads.history import Author
from zevix.admin_site import ReadOnly, TenantAdmin

_COLOURS = {"pending": "info", "approved": "success", "rejected": "danger", "expired": "warning"}


class StandingFilter(DropdownFilter):
    title, parameter_name = _("status"), "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Proposal.Status.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        value = self.value()
        return Proposal.objects.standing(value).filter(pk__in=queryset.values("pk")) if value else queryset


@admin.register(Proposal)
class ProposalAdmin(ActsOnRows, ReadOnly, TenantAdmin):
    icon = "approval"
    list_display = ["kind", "coloured_status", "wanted", "about", "decider", "workspace", "created_at", "expires_at"]
    list_filter = [StandingFilter, ("kind", ChoicesDropdownFilter)]
    list_select_related = ["workspace", "decided_by"]
    search_fields = ["payload", "reason", "decided_by__email"]
    fields = [
        "workspace", ("kind", "coloured_status"), "proposed", "reason", "written", "about",
        ("decider", "decided_at"), "outcome", ("created_at", "expires_at"),
    ]  # fmt: skip
    ordering = ["-id"]
    actions = ["approve", "reject"]

    @admin.action(description=_("Approve"))
    def approve(self, request: HttpRequest, queryset: QuerySet[Proposal]) -> None:
        count = self.act_on_each(request, queryset, lambda one: deciding.approve(one.pk, {}, **_by(request, one)))
        self.report(request, ngettext("{count} proposal approved.", "{count} proposals approved.", count), count)

    @admin.action(description=_("Reject"))
    def reject(self, request: HttpRequest, queryset: QuerySet[Proposal]) -> None:
        count = self.act_on_each(request, queryset, lambda one: deciding.reject(one.pk, "", **_by(request, one)))
        self.report(request, ngettext("{count} proposal rejected.", "{count} proposals rejected.", count), count)

    @display(description=_("status"), label={label: _COLOURS[value] for value, label in Proposal.Status.choices})
    def coloured_status(self, proposal: Proposal) -> str:
        return str(Proposal.Status(proposal.standing).label)

    @display(description=_("proposed"))
    def wanted(self, proposal: Proposal) -> str:
        return ", ".join(map(str, proposal.payload.values()))[:100]

    @display(description=_("proposed"))
    def proposed(self, proposal: Proposal) -> SafeString:
        return _lines(proposal.payload)

    @display(description=_("as approved"))
    def written(self, proposal: Proposal) -> SafeString:
        return _lines(proposal.edited or {})

    @display(description=_("result"))
    def outcome(self, proposal: Proposal) -> SafeString:
        return _lines(proposal.result or {})

    @display(description=_("lead"))
    def about(self, proposal: Proposal) -> SafeString | str:
        if proposal.lead_id is None:
            return ""
        page = reverse("admin:leads_lead_change", args=[proposal.lead_id])
        return format_html('<a class="text-link" href="{}">#{}</a>', page, proposal.lead_id)

    @display(description=_("decided by"), ordering="decided_by__email")
    def decider(self, proposal: Proposal) -> Any:
        return proposal.decided_by


def _by(request: HttpRequest, proposal: Proposal) -> dict[str, Any]:
    user = user_of(request)
    return {"workspace": proposal.workspace_id, "user": user, "by": Author("ai", user.pk)}


def _lines(fields: dict[str, Any]) -> SafeString:
    return format_html_join("", "<p>{}: {}</p>", fields.items())
