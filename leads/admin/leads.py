"""Leads, as managers and the operator work on them."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, TextFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import Membership, User, Workspace
from leads import bulk, editing
from leads.admin.acts import author
from leads.admin.refunds import RefundsDead
from leads.bulk import Change
from leads.forms import LeadForm
from leads.models import (
    EmailStatus,
    Lead,
    LeadQuerySet,
    LeadStatus,
)
from leads.selections import Selection
from zevix.admin_site import TenantAdmin, is_operator, managed_workspaces

_AT_ONCE = 10_000  # what somebody does by hand; more is the API's

_STATUS_COLOURS = {
    LeadStatus.NEW: "info", LeadStatus.CONTACTED: "primary", LeadStatus.QUALIFIED: "warning",
    LeadStatus.PROPOSAL: "warning", LeadStatus.WON: "success", LeadStatus.LOST: "danger",
}  # fmt: skip
_EMAIL_COLOURS = {
    EmailStatus.DELIVERABLE: "success", EmailStatus.RISKY: "warning", EmailStatus.UNDELIVERABLE: "danger",
    EmailStatus.UNKNOWN: "default",
}  # fmt: skip


class NeedsActionFilter(DropdownFilter):
    title, parameter_name = _("needs action"), "needs_action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: LeadQuerySet) -> LeadQuerySet:
        chosen = {"yes": True, "no": False}.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(needs_action=chosen)


class AssigneeFilter(DropdownFilter):
    """Me, nobody, or a member: a manager's own people; the operator's choice once a workspace is chosen."""

    title, parameter_name = _("assigned to"), "assigned"
    column = "assigned_user"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("me", _("Me")), ("none", _("Nobody")), *((str(pk), email) for pk, email in self._people(request))]

    def _people(self, request: HttpRequest) -> Any:
        chosen = request.GET.get("workspace__id__exact", "")
        if is_operator(request):
            workspaces = [int(chosen)] if chosen.isascii() and chosen.isdigit() and len(chosen) < 19 else []
        else:
            workspaces = managed_workspaces(request)
        members = Membership.objects.filter(workspace__in=workspaces).values("user")
        return User.objects.filter(pk__in=members).order_by("email").values_list("pk", "email")

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case None | "":
                return queryset
            case "me":
                return queryset.filter(**{self.column: request.user.pk})
            case "none":
                return queryset.filter(**{self.column: None})
            case str(number) if number.isascii() and number.isdigit() and len(number) < 19:
                return queryset.filter(**{self.column: int(number)})
        return queryset.none()


class ExactFilter(TextFilter):
    def queryset(self, request: HttpRequest, queryset: LeadQuerySet) -> LeadQuerySet:
        wanted = (self.value() or "").strip()
        return queryset.filter(**{f"{self.parameter_name}__iexact": wanted}) if wanted else queryset


class LeadStateFilter(ExactFilter):
    title, parameter_name = _("state"), "state"


class SourceFilter(ExactFilter):
    title, parameter_name = _("source"), "source"


class StockFilter(DropdownFilter):
    title, parameter_name = _("stock"), "stock"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("catalogue", _("Catalogue")), ("workspaces", _("Workspaces"))]

    def queryset(self, request: HttpRequest, queryset: LeadQuerySet) -> LeadQuerySet:
        catalogue = Workspace.objects.filter(is_catalogue=True).values("pk")
        match self.value():
            case "catalogue":
                return queryset.in_catalogue()
            case "workspaces":
                return queryset.exclude(workspace__in=catalogue)
        return queryset


def _set_status(status: LeadStatus) -> Callable[..., None]:
    @admin.action(description=format_lazy(_("Set status: {status}"), status=status.label), permissions=["change"])
    def act(model_admin: "LeadAdmin", request: HttpRequest, queryset: LeadQuerySet) -> None:
        model_admin.change_all(request, queryset, {"status": status.value})

    act.__name__ = f"set_status_{status.value.lower()}"
    return act


@admin.register(Lead)
class LeadAdmin(RefundsDead, TenantAdmin):
    icon = "contact_phone"
    form = LeadForm
    list_display = [
        "title", "place", "coloured_status", "needs_action", "assigned_user", "coloured_email", "source",
        "workspace", "added",
    ]  # fmt: skip
    list_filter = [
        ("status", ChoicesDropdownFilter), LeadStateFilter, NeedsActionFilter, SourceFilter, AssigneeFilter,
        ("email_status", ChoicesDropdownFilter),
    ]  # fmt: skip
    list_select_related = ["workspace", "assigned_user"]
    search_fields = ["company"]  # shows the box; what is searched is the words of `Lead.objects.search`
    search_help_text = _(
        "Words in name, company, e-mail address, phone, city and notes; each may be the beginning of one."
    )
    autocomplete_fields = ["workspace"]
    readonly_fields = ["email_status", "phone_normalized", "import_batch", "created_at", "updated_at"]
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextInputWidget}}
    warn_unsaved_form = True
    actions = [
        "assign_to_me", *(_set_status(status) for status in LeadStatus), "mark_needing_action",
        "mark_needing_no_action", "refund_dead", "delete_selected",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> LeadQuerySet:
        return cast(LeadQuerySet, super().get_queryset(request).defer("search_vector"))

    def get_ordering(self, request: HttpRequest) -> list[str]:
        # by id alone the planner may walk past every other workspace's leads
        return ["-id"] if is_operator(request) else ["-workspace_id", "-id"]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters = super().get_list_filter(request)
        return [*filters, StockFilter] if is_operator(request) else filters

    def get_search_results(
        self, request: HttpRequest, queryset: LeadQuerySet, search_term: str
    ) -> tuple[LeadQuerySet, bool]:
        return queryset.search(search_term), False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        work: list[Any] = [
            ("status", *(["needs_action"] if obj else [])), *(["assigned_user"] if obj else []), ("score", "disg_type"),
            "last_contact", "next_action_at", "next_action_description", "notes", "tags",
        ]  # fmt: skip
        origin = ("email_status", "phone_normalized", "import_batch", "created_at", "updated_at", "seen_version")
        return [
            (None, {"fields": [
                ("workspace", "external_id"), ("company", "name"), ("email", "website"), ("phone", "owner_phone"),
            ]}),
            (_("Work"), {"fields": work}),
            (_("Address"), {"fields": ["address", ("zip_code", "city"), ("state", "country")]}),
            (_("Practice"), {"fields": [
                ("npi", "ein"), ("entity_type", "is_sole_proprietor"), ("providers", "specialties"),
            ]}),
            (_("Origin"), {"fields": [("source", "channel"), *((origin[:2], origin[2], origin[3:5], origin[5]) if obj else ())]}),
            (_("Custom fields"), {"fields": ["extra"]}),
        ]  # fmt: skip

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        managed = managed_workspaces(request)
        return {"workspace": managed[0], **initial} if len(managed) == 1 and not is_operator(request) else initial

    def save_model(self, request: HttpRequest, obj: Lead, form: Any, change: bool) -> None:
        if change:
            seen = form.cleaned_data.get("seen_version")
            editing.update(
                obj.pk, form.written(), workspace=obj.workspace_id, by=author(request), versions=seen and {seen}
            )
        else:
            obj.pk = editing.create({"source": "human", **form.written()}, workspace=obj.workspace, by=author(request))

    def delete_model(self, request: HttpRequest, obj: Lead) -> None:
        editing.delete(Lead.objects.filter(pk=obj.pk), by=author(request))

    def delete_queryset(self, request: HttpRequest, queryset: LeadQuerySet) -> None:
        self._act(request, queryset, Change(delete=True))

    # Columns

    @display(description=_("lead"), ordering="company", header=True)
    def title(self, lead: Lead) -> list[str]:
        return [str(lead), lead.name if lead.company else ""]

    @display(description=_("place"), ordering="city")
    def place(self, lead: Lead) -> str:
        return ", ".join(filter(None, [lead.city, lead.state]))

    @display(description=_("status"), ordering="status", label=_STATUS_COLOURS)
    def coloured_status(self, lead: Lead) -> tuple[str, str]:
        return lead.status, lead.get_status_display()

    @display(description=_("e-mail status"), ordering="email_status", label=_EMAIL_COLOURS)
    def coloured_email(self, lead: Lead) -> tuple[str, str]:
        return lead.email_status, lead.get_email_status_display()

    @display(description=_("created"), ordering="created_at")
    def added(self, lead: Lead) -> str:
        return date_format(lead.created_at, "SHORT_DATE_FORMAT")

    # Actions

    @admin.action(description=_("Assign to me"), permissions=["change"])
    def assign_to_me(self, request: HttpRequest, queryset: LeadQuerySet) -> None:
        mine = Membership.objects.filter(user=request.user.pk).values("workspace")
        if queryset.exclude(workspace__in=mine).exists():
            self.message_user(
                request, _("Leads of workspaces that you are no member of stay as they are."), messages.WARNING
            )
        self.change_all(request, queryset.filter(workspace__in=mine), {"assigned_user_id": request.user.pk})

    @admin.action(description=_("Mark as needing action"), permissions=["change"])
    def mark_needing_action(self, request: HttpRequest, queryset: LeadQuerySet) -> None:
        self.change_all(request, queryset, {"needs_action": True})

    @admin.action(description=_("Mark as needing no action"), permissions=["change"])
    def mark_needing_no_action(self, request: HttpRequest, queryset: LeadQuerySet) -> None:
        self.change_all(request, queryset, {"needs_action": False})

    @admin.action(description=_("Delete"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: LeadQuerySet) -> HttpResponse | None:
        return None if self._too_many(request, queryset) else delete_selected(self, request, queryset)

    def change_all(self, request: HttpRequest, leads: LeadQuerySet, changes: dict[str, Any]) -> None:
        if self._too_many(request, leads):
            return
        count = self._act(request, leads, Change(changes))
        sentence = ngettext("{count} lead changed.", "{count} leads changed.", count)
        self.message_user(request, sentence.format(count=count), messages.SUCCESS if count else messages.WARNING)

    @transaction.atomic
    def _act(self, request: HttpRequest, leads: LeadQuerySet, change: Change) -> int:
        """Change leads of one or several workspaces, as the API does with many; returns how many were otherwise before."""
        ids: dict[int, list[int]] = {}
        for workspace_id, lead_id in leads.order_by("workspace_id", "pk").values_list("workspace_id", "pk"):
            ids.setdefault(workspace_id, []).append(lead_id)
        by, workspaces = author(request), Workspace.objects.in_bulk(ids)
        done = [bulk.start(Selection(ids[key]), change, workspace=workspaces[key], by=by) for key in sorted(ids)]
        return sum(one.changed_count for one in done)

    def _too_many(self, request: HttpRequest, leads: LeadQuerySet) -> bool:
        too_many = leads.count() > _AT_ONCE
        if too_many:
            sentence = _("At most {limit} leads at a time: narrow the list.").format(limit=_AT_ONCE)
            self.message_user(request, sentence, messages.ERROR)
        return too_many
