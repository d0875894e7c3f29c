"""Leads, what was exported and imported, and what a workspace may do this month."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.db import models, transaction
from django.db.models import F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, TextFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin import WorkspaceAdmin
from accounts.models import Membership, User, Workspace
from billing import entitlements
from billing.admin import SubscriptionInline
from leads import bulk, editing, quotas, undoing
from leads.bulk import Change
from leads.forms import LeadForm
from leads.history import Author
from leads.models import (
    EmailStatus,
    Export,
    ExportedLead,
    ImportBatch,
    Lead,
    LeadQuerySet,
    LeadStatus,
    RejectedRow,
    Undo,
    Usage,
)
from leads.selections import Selection
from zevix.admin_site import ReadOnly, TenantAdmin, is_operator, managed_workspaces
from zevix.errors import Refusal

_AT_ONCE = 10_000  # what somebody does by hand; more is the API's

_STATUS_COLOURS = {
    LeadStatus.NEW: "info", LeadStatus.CONTACTED: "primary", LeadStatus.QUALIFIED: "warning",
    LeadStatus.PROPOSAL: "warning", LeadStatus.WON: "success", LeadStatus.LOST: "danger",
}  # fmt: skip
_EMAIL_COLOURS = {
    EmailStatus.DELIVERABLE: "success", EmailStatus.RISKY: "warning", EmailStatus.UNDELIVERABLE: "danger",
    EmailStatus.UNKNOWN: "default",
}  # fmt: skip


def _author(request: HttpRequest) -> Author:
    """The operator, or a manager: whoever else reaches a lead here."""
    return Author("human", request.user.pk)


# Leads --------------------------------------------------------------------------------------------------------------------


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
class LeadAdmin(TenantAdmin):
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
        "mark_needing_no_action", "delete_selected",
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
                obj.pk, form.written(), workspace=obj.workspace_id, by=_author(request), versions=seen and {seen}
            )
        else:
            obj.pk = editing.create({"source": "human", **form.written()}, workspace=obj.workspace, by=_author(request))

    def delete_model(self, request: HttpRequest, obj: Lead) -> None:
        editing.delete(Lead.objects.filter(pk=obj.pk), by=_author(request))

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
        by, workspaces = _author(request), Workspace.objects.in_bulk(ids)
        done = [bulk.start(Selection(ids[key]), change, workspace=workspaces[key], by=by) for key in sorted(ids)]
        return sum(one.changed_count for one in done)

    def _too_many(self, request: HttpRequest, leads: LeadQuerySet) -> bool:
        too_many = leads.count() > _AT_ONCE
        if too_many:
            sentence = _("At most {limit} leads at a time: narrow the list.").format(limit=_AT_ONCE)
            self.message_user(request, sentence, messages.ERROR)
        return too_many


# Imports ------------------------------------------------------------------------------------------------------------------


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
        return _links(
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


# Exports and quotas -------------------------------------------------------------------------------------------------------


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
        return _links((ExportedLead, f"export__id__exact={export.pk}"))


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


# Workspaces, with what only this layer knows ------------------------------------------------------------------------------

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
        return _links(
            *(
                (model, f"workspace__id__exact={workspace.pk}")
                for model in (Lead, Membership, ImportBatch, Export, Usage)
            )
        )


def tell_of_undo(model_admin: Any, request: HttpRequest, act: str, workspace: Workspace) -> None:
    """Undo an act, and say what came of it."""
    try:
        undo = undoing.undo(act, workspace=workspace, by=_author(request))
    except Refusal as refusal:
        model_admin.message_user(request, f"{act}: {refusal}", messages.ERROR)
        return
    if undo.status == Undo.Status.RUNNING:
        sentence = _("{act}: is being undone in the background.").format(act=act)
    else:
        sentence = _("{act}: {removed} removed, {reverted} changed back, {restored} brought back, {kept} kept.").format(
            act=act, removed=undo.removed_count, reverted=undo.reverted_count, restored=undo.restored_count,
            kept=undo.kept_count,
        )  # fmt: skip
    model_admin.message_user(request, sentence, messages.WARNING if undo.kept_count else messages.SUCCESS)


def _links(*lists: tuple[type[models.Model], str]) -> SafeString:
    """Links to the rows of other lists."""
    return format_html_join(
        " · ",
        '<a class="text-link" href="{}?{}">{}</a>',
        ((_list_of(model), query, str(model._meta.verbose_name_plural).capitalize()) for model, query in lists),
    )


def _list_of(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


from leads import (  # noqa: E402
    activity_admin,  # noqa: F401
    distribution_admin,  # noqa: F401
    history_admin,  # noqa: F401
    list_admin,  # noqa: F401
    merge_admin,  # noqa: F401
)
