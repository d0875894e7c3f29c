"""Which lead is which person in Pipedrive, where both differ, and what was made there."""

import json
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
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from accounts.admin.members import user_of
from crm.models import Conflict, Creation, Link
from crm.pipedrive.syncing import again, conflicts
from leads.admin.merging import ActsOnRows
from leads.models import Lead
from zevix.admin_site import ReadOnly, TenantAdmin


class OfLead(TenantAdmin):
    """Rows of leads, which may be in the bin; they are found by the lead's id."""

    id_fields: tuple[str, ...] = ("lead",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        named = Coalesce(NullIf("company", Value("")), NullIf("name", Value("")), "email", output_field=TextField())
        title = Lead.objects.filter(pk=OuterRef("lead")).values(shown=named)
        return super().get_queryset(request).annotate(lead_title=Subquery(title))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not (term.isascii() and term.isdigit() and len(term) < 19):
            return super().get_search_results(request, queryset, search_term)
        found = queryset.none()
        for name in self.id_fields:
            found = found | queryset.filter(**{name: int(term)})
        return found, False

    @display(description=_("lead"), ordering="lead")
    def about(self, row: Any) -> SafeString | str:
        if row.lead_title is None:  # it is in the bin
            return f"#{row.lead_id}"
        page = reverse("admin:leads_lead_change", args=[row.lead_id])
        return format_html('<a class="text-link" href="{}">#{} {}</a>', page, row.lead_id, row.lead_title)


class TroubleFilter(DropdownFilter):
    title, parameter_name = _("problem"), "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Link]) -> QuerySet[Link]:
        match self.value():
            case "yes":
                return queryset.exclude(problem="")
            case "no":
                return queryset.filter(problem="")
        return queryset


@admin.register(Link)
class LinkAdmin(ActsOnRows, ReadOnly, OfLead):
    icon = "link"
    id_fields = ("lead", "person_id")
    list_display = ["about", "person_id", "organization_id", "coloured_state", "problem", "workspace", "synced_at"]
    list_filter = [("state", ChoicesDropdownFilter), TroubleFilter]
    list_select_related = ["workspace"]
    search_fields = ["problem"]
    search_help_text = _("The id of a lead or of a person, or words of the problem.")
    fields = [
        ("workspace", "connection"), ("about", "coloured_state"), ("person_id", "organization_id"), "problem",
        ("problem_at", "attempts", "retry_at"), ("created_at", "synced_at"), "agreed",
    ]  # fmt: skip
    ordering = ["-id"]
    actions = ["sync_now", "send_again"]

    @display(
        description=_("how it stands"),
        ordering="state",
        label={str(label): {"active": "success", "deleted": "warning"}[value] for value, label in Link.State.choices},
    )
    def coloured_state(self, link: Link) -> str:
        return str(Link.State(link.state).label)

    @display(description=_("what both agreed on"))
    def agreed(self, link: Link) -> SafeString:
        pairs = json.dumps(link.snapshot, indent=1, ensure_ascii=False)
        return format_html('<pre class="whitespace-pre-wrap">{}</pre>', pairs)

    @admin.action(description=_("Sync now"), permissions=["view"])
    def sync_now(self, request: HttpRequest, queryset: QuerySet[Link]) -> None:
        count = again.sync_soon(queryset)
        self.report(request, ngettext("{count} lead is synced soon.", "{count} leads are synced soon.", count), count)

    @admin.action(description=_("Send again"), permissions=["view"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Link]) -> None:
        count = again.send_again(queryset)
        self.report(request, ngettext("{count} lead is sent again.", "{count} leads are sent again.", count), count)


class OpenFilter(DropdownFilter):
    """The open ones, unless one asks for others."""

    title, parameter_name = _("how it stands"), "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("resolved", _("Resolved")), ("all", _("All"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Conflict]) -> QuerySet[Conflict]:
        if self.value() == "all":
            return queryset
        return queryset.filter(resolved_at__isnull=self.value() != "resolved")


@admin.register(Conflict)
class ConflictAdmin(ActsOnRows, ReadOnly, OfLead):
    icon = "difference"
    list_display = ["about", "field", "in_zevix", "in_pipedrive", "choice", "by_rule", "workspace", "created_at"]
    list_filter = [OpenFilter, ("choice", ChoicesDropdownFilter)]
    list_select_related = ["workspace"]
    search_fields = ["field"]
    search_help_text = _("A lead's id, or a field.")
    fields = [
        ("workspace", "connection"), ("about", "field"), ("in_zevix", "in_pipedrive"), ("ours_at", "theirs_at"),
        "is_overwritten", ("choice", "by_rule"), ("resolver", "resolved_at"), "created_at",
    ]  # fmt: skip
    ordering = ["-id"]
    actions = ["take_ours", "take_theirs"]

    @display(description=_("in Zevix"))
    def in_zevix(self, conflict: Conflict) -> str:
        return _shown(conflict.ours)

    @display(description=_("in Pipedrive"))
    def in_pipedrive(self, conflict: Conflict) -> str:
        return _shown(conflict.theirs)

    @display(description=_("resolved by"))
    def resolver(self, conflict: Conflict) -> Any:
        return conflict.resolved_by

    @admin.action(description=_("Take Zevix's value"), permissions=["view"])
    def take_ours(self, request: HttpRequest, queryset: QuerySet[Conflict]) -> None:
        self._take(request, queryset, Conflict.Choice.ZEVIX)

    @admin.action(description=_("Take Pipedrive's value"), permissions=["view"])
    def take_theirs(self, request: HttpRequest, queryset: QuerySet[Conflict]) -> None:
        self._take(request, queryset, Conflict.Choice.PIPEDRIVE)

    def _take(self, request: HttpRequest, queryset: QuerySet[Conflict], choice: str) -> None:
        by = user_of(request)
        count = self.act_on_each(request, queryset, lambda conflict: conflicts.resolve(conflict, choice, by=by))
        sentence = ngettext("{count} conflict is being resolved.", "{count} conflicts are being resolved.", count)
        self.report(request, sentence, count)


def _shown(value: Any) -> str:
    if value in (None, "", []):
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@admin.register(Creation)
class CreationAdmin(ReadOnly, TenantAdmin):
    icon = "add_link"
    list_display = ["kind", "key", "remote_id", "workspace", "sent_at", "created_at"]
    list_filter = [("kind", ChoicesDropdownFilter)]
    list_select_related = ["workspace"]
    search_fields = ["key"]
    fields = [("workspace", "connection"), ("kind", "key"), "remote_id", ("sent_at", "created_at")]
    ordering = ["-id"]
