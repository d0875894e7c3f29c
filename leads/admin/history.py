"""What leads were before, the bin, and what was undone."""

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import BigIntegerField, Exists, JSONField, OuterRef, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from accounts.models import User
from leads import editing, history
from leads.admin.acts import author
from leads.models import KeptLead, Lead, LeadVersion, Undo
from zevix.admin_site import ReadOnly, TenantAdmin
from zevix.errors import Refusal

_LABELS = {"update": _("changed"), "delete": _("deleted")}
_COLOURS = {"update": "info", "delete": "danger"}


# a version as JSON, and the state that followed it: the next version, else the lead as it is now
_BEFORE = RawSQL("to_jsonb(leads_leadversion)", [], JSONField())
_AFTER = RawSQL(
    """
    coalesce(
        (SELECT to_jsonb(n) FROM leads_leadversion AS n
         WHERE n.pgh_obj_id = leads_leadversion.pgh_obj_id AND n.pgh_id > leads_leadversion.pgh_id ORDER BY n.pgh_id LIMIT 1),
        (SELECT to_jsonb(l) FROM leads_lead AS l WHERE l.id = leads_leadversion.pgh_obj_id)
    )
    """,
    [],
    JSONField(),
)


class BinFilter(DropdownFilter):
    title, parameter_name = _("bin"), "bin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("In the bin"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "yes":
            return queryset
        return queryset.filter(pgh_label="delete").exclude(Exists(Lead.objects.filter(pk=OuterRef("pgh_obj"))))


@admin.register(LeadVersion)
class LeadVersionAdmin(ReadOnly, TenantAdmin):
    """The lead may be gone, so it is never joined: rows would vanish from the list."""

    icon = "history"
    list_display = [
        "title",
        "happened",
        "what_changed",
        "person",
        "source_told",
        "act_told",
        "happened_at",
        "workspace",
    ]
    list_filter = [BinFilter]
    list_select_related = ["workspace"]
    search_fields = ["pgh_obj_id"]
    search_help_text = _("A lead's id, or an act such as import:12.")
    ordering = ["-pgh_id"]
    fields = [*list_display, "before"]
    actions = ["bring_back", "restore"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        author = User.objects.filter(pk=OuterRef("author_id"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                held_before=_BEFORE,
                held_after=_AFTER,
                author_id=Cast(KT("pgh_context__user"), BigIntegerField()),
            )
            .annotate(author=Subquery(author.values("email")))
        )

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["-pgh_id"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        wanted = search_term.strip()
        if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
            return queryset.filter(pgh_obj=int(wanted)), False
        return (queryset.filter(pgh_context__act=wanted) if wanted else queryset), False

    @display(description=_("lead"))
    def title(self, version: Any) -> str:
        named = version.company or version.name or version.email or version.npi
        return f"#{version.pgh_obj_id} {named}".strip()

    @display(description=_("what happened"), ordering="pgh_label", label=_COLOURS)
    def happened(self, version: Any) -> tuple[str, Any]:
        return version.pgh_label, _LABELS[version.pgh_label]

    @display(description=_("changes"))
    def what_changed(self, version: Any) -> SafeString | str:
        if version.pgh_label == "delete":
            return ""
        changes = history.differences(version.held_before, version.held_after) if version.held_after else {}
        return format_html_join(
            "",
            "<div><b>{}</b>: {} → {}</div>",
            ((field, _short(change["old"]), _short(change["new"])) for field, change in changes.items()),
        )

    @display(description=_("user"))
    def person(self, version: Any) -> str:
        return version.author or ""

    @display(description=_("source"))
    def source_told(self, version: Any) -> str:
        return (version.pgh_context or {}).get("source", "system")

    @display(description=_("act"))
    def act_told(self, version: Any) -> str:
        return (version.pgh_context or {}).get("act", "")

    @display(description=_("when"), ordering="pgh_id")
    def happened_at(self, version: Any) -> Any:
        return version.pgh_created_at

    @display(description=_("the lead before"))
    def before(self, version: Any) -> SafeString:
        held = {
            field: version.held_before[field]
            for field in history.FIELDS
            if version.held_before[field] not in ("", None, [], {})
        }
        return format_html("<pre>{}</pre>", json.dumps(held, indent=2, ensure_ascii=False))

    @admin.action(description=_("Bring back from the bin"), permissions=["view"])
    def bring_back(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        chosen = queryset.filter(pgh_label="delete").select_related("workspace")
        count = 0
        for version in chosen:
            count += len(editing.restore_deleted([version.pgh_obj_id], workspace=version.workspace, by=author(request)))
        left = queryset.count() - count
        self.message_user(request, _("{count} leads are back.").format(count=count), messages.SUCCESS)
        if left:
            sentence = _("{count} stay: they are not in the bin, or another lead has their external id.")
            self.message_user(request, sentence.format(count=left), messages.WARNING)

    @admin.action(description=_("Give the lead back what it held before"), permissions=["view"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for version in queryset.filter(pgh_label="update"):
            try:
                editing.restore(version.pgh_obj_id, version.version, workspace=version.workspace_id, by=author(request))
            except Refusal as refusal:
                self.message_user(request, f"#{version.pgh_obj_id}: {refusal}", messages.ERROR)
            else:
                sentence = _("Lead #{id} holds again what it held as version {n}.")
                self.message_user(request, sentence.format(id=version.pgh_obj_id, n=version.version), messages.SUCCESS)


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


class KeptLeadInline(ReadOnly, TabularInline):
    model = KeptLead
    fields = ["number", "reason", "fields"]
    readonly_fields = fields
    extra = 0
    max_num = 0
    ordering = ["id"]
    per_page = 50

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may see the undo."""
        return True

    @display(description=_("lead"))
    def number(self, kept: KeptLead) -> str:
        return str(kept.lead_id)


@admin.register(Undo)
class UndoAdmin(ReadOnly, TenantAdmin):
    icon = "undo"
    list_display = [
        "act", "workspace", "person", "status", "progress", "removed_count", "reverted_count", "restored_count", "kept_count",
        "created_at",
    ]  # fmt: skip
    list_filter = [("status", ChoicesDropdownFilter)]
    list_select_related = ["workspace", "user"]
    search_fields = ["act"]
    ordering = ["-id"]
    fields = [
        ("act", "workspace", "person"), ("status", "progress"),
        ("removed_count", "reverted_count", "restored_count", "kept_count"), ("created_at", "finished_at"),
    ]  # fmt: skip
    inlines = [KeptLeadInline]
