"""Possible duplicates, and what was merged."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import F, OuterRef, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Coalesce, NullIf
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from accounts.admin import user_of
from leads import duplicates
from leads.admin.acts import author
from leads.merging import merging, unmerging
from leads.merging.merging import Wish
from leads.models import DuplicatePair, Lead, Merge
from zevix.admin_site import ReadOnly, TenantAdmin
from zevix.errors import Refusal

_AT_ONCE = 500  # each is an act of its own
_REASONS = {
    "email": _("e-mail address"),
    "phone": _("phone"),
    "npi": _("NPI and address"),
    "company": _("company and ZIP code"),
}


def _link(lead_id: int, title: str | None) -> SafeString | str:
    """A lead by its name, which leads to its page as long as it is there."""
    if title is None:
        return f"#{lead_id}"
    page = reverse("admin:leads_lead_change", args=[lead_id])
    return format_html('<a class="text-link" href="{}">#{} {}</a>', page, lead_id, title)


def _title(column: str) -> Subquery:
    """What a lead is called; NULL where it is gone. The lead is never joined: rows would vanish from the list."""
    named = [NullIf(F(name), Value("", TextField())) for name in ("company", "name", "email")]
    return Subquery(Lead.objects.filter(pk=OuterRef(column)).values(shown=Coalesce(*named, Value("", TextField()))))


class PairStateFilter(DropdownFilter):
    """The open ones, unless one asks for others."""

    title, parameter_name = _("state"), "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(DuplicatePair.State.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state=self.value() or DuplicatePair.State.OPEN)


class ReasonFilter(DropdownFilter):
    title, parameter_name = _("what they share"), "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(_REASONS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(reasons__contains=[self.value()]) if self.value() else queryset


class ActsOnRows:
    """Actions that are an act for each row, and report what each refused."""

    message_user: Any

    def act_on_each(self, request: HttpRequest, rows: QuerySet[Any], act: Any) -> int:
        """Do ``act`` for each of the rows; returns how many were done. A refusal of one does not stop the others."""
        if rows.count() > _AT_ONCE:
            sentence = _("At most {limit} rows at a time: narrow the list.").format(limit=_AT_ONCE)
            self.message_user(request, sentence, messages.ERROR)
            return 0
        done = 0
        for row in rows:
            try:
                act(row)
                done += 1
            except Refusal as refusal:
                self.message_user(request, f"{row}: {refusal}", messages.ERROR)
        return done

    def report(self, request: HttpRequest, sentence: str, count: int) -> None:
        self.message_user(request, sentence.format(count=count), messages.SUCCESS if count else messages.WARNING)


@admin.register(DuplicatePair)
class DuplicatePairAdmin(ActsOnRows, ReadOnly, TenantAdmin):
    icon = "join_inner"
    list_display = ["one", "other", "shared", "survivor", "state", "workspace", "created_at"]
    list_filter = [PairStateFilter, ReasonFilter]
    list_select_related = ["workspace"]
    ordering = ["-id"]
    fields = ["one", "other", "shared", "survivor", "state", "person", "workspace", "created_at"]
    actions = ["merge", "dismiss", "reopen"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = duplicates.with_suggestion(duplicates.of_present_leads(super().get_queryset(request)))
        return rows.annotate(first_title=_title("first"), second_title=_title("second"))

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["-id"]

    @display(description=_("older lead"))
    def one(self, pair: Any) -> SafeString | str:
        return _link(pair.first_id, pair.first_title)

    @display(description=_("newer lead"))
    def other(self, pair: Any) -> SafeString | str:
        return _link(pair.second_id, pair.second_title)

    @display(description=_("what they share"))
    def shared(self, pair: DuplicatePair) -> str:
        return ", ".join(str(_REASONS[reason]) for reason in pair.reasons)

    @display(description=_("to survive"))
    def survivor(self, pair: Any) -> str:
        return f"#{pair.suggested}"

    @admin.action(description=_("Merge into the lead that is more complete"))
    def merge(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = self.act_on_each(request, queryset.select_related("workspace"), lambda pair: _merge(pair, request))
        self.report(request, ngettext("{count} pair merged.", "{count} pairs merged.", count), count)

    @admin.action(description=_("They are not the same"))
    def dismiss(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = duplicates.dismiss(queryset, by=user_of(request))
        self.report(request, ngettext("{count} pair dismissed.", "{count} pairs dismissed.", count), count)

    @admin.action(description=_("Offer them again"))
    def reopen(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = duplicates.reopen(queryset)
        self.report(request, ngettext("{count} pair is open again.", "{count} pairs are open again.", count), count)


def _merge(pair: Any, request: HttpRequest) -> None:
    loser = pair.first_id if pair.suggested == pair.second_id else pair.second_id
    merging.merge([Wish(pair.suggested, (loser,))], workspace=pair.workspace, by=author(request))


@admin.register(Merge)
class MergeAdmin(ActsOnRows, ReadOnly, TenantAdmin):
    icon = "merge"
    list_display = ["title", "into", "gone", "person", "workspace", "created_at", "undone_at"]
    list_select_related = ["workspace", "user"]
    search_fields = ["survivor_id", "merged__lead_id"]
    search_help_text = _("A lead's id.")
    ordering = ["-id"]
    fields = ["into", "gone", "person", "workspace", "created_at", "undone_at"]
    actions = ["undo"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("merged").annotate(survivor_title=_title("survivor"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if not (term.isascii() and term.isdigit() and len(term) < 19):
            return queryset.none(), False
        return queryset.filter(survivor=int(term)) | queryset.filter(merged__lead=int(term)), True

    @display(description=_("merge"), ordering="id")
    def title(self, merge: Merge) -> str:
        return str(merge)

    @display(description=_("survivor"))
    def into(self, merge: Any) -> SafeString | str:
        return _link(merge.survivor_id, merge.survivor_title)

    @display(description=_("merged leads"))
    def gone(self, merge: Any) -> str:
        return ", ".join(f"#{merged.lead_id}" for merged in merge.merged.all())

    @admin.action(description=_("Undo"))
    def undo(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        # the newest first, since a lead that was merged further must come back before what was merged into it
        merges = queryset.select_related("workspace").order_by("-pk")
        by = author(request)
        count = self.act_on_each(
            request, merges, lambda merge: unmerging.undo(merge.pk, workspace=merge.workspace, by=by)
        )
        self.report(request, ngettext("{count} merge undone.", "{count} merges undone.", count), count)
