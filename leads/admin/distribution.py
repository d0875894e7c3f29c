"""Distribution in the admin: rules with their members, who is there, what was given to whom, and who waits."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.validators import MaxLengthValidator
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin.members import with_members
from accounts.models import Membership, User, Workspace
from leads.admin.acts import author
from leads.admin.leads import LeadAdmin
from leads.distribution import distributing, rulebook, rules
from leads.distribution.deciding import Strategy
from leads.distribution.explaining import by_rule, why_it_waits
from leads.errors import RuleNameTaken
from leads.forms import Lines
from leads.models import Assignment, Availability, DistributionRule, Lead, LeadQuerySet, RuleMember, WaitingLead
from zevix.admin_site import ReadOnly, TenantAdmin

_TERRITORY = ("states", "zip_prefixes", "specialties", "tags")


def _members_of(workspace_id: int) -> QuerySet[User]:
    seats = Membership.objects.for_workspace(workspace_id).values("user")
    return User.objects.filter(pk__in=seats).order_by("email")


def _distribute(model_admin: Any, request: HttpRequest, leads: Iterable[tuple[int, int]]) -> None:
    """Distribute leads, given as workspace and id, and say how many found somebody."""
    by_workspace: dict[int, list[int]] = defaultdict(list)
    for workspace_id, lead_id in leads:
        by_workspace[workspace_id].append(lead_id)
    assigned = waiting = 0
    for workspace_id, ids in by_workspace.items():
        outcome = distributing.distribute(ids, workspace=workspace_id, by=author(request))
        assigned, waiting = assigned + len(outcome.assigned), waiting + len(outcome.waiting)
    sentence = ngettext("{count} lead was given to somebody.", "{count} leads were given to somebody.", assigned)
    model_admin.message_user(
        request, sentence.format(count=assigned), messages.SUCCESS if assigned else messages.WARNING
    )
    if waiting:
        sentence = ngettext("{count} lead waits.", "{count} leads wait.", waiting)
        model_admin.message_user(request, sentence.format(count=waiting), messages.WARNING)


@admin.action(description=_("Distribute"), permissions=["change"])
def distribute(model_admin: LeadAdmin, request: HttpRequest, queryset: LeadQuerySet) -> None:
    if not model_admin._too_many(request, queryset):
        _distribute(model_admin, request, queryset.values_list("workspace", "pk"))


LeadAdmin.actions = [*LeadAdmin.actions, distribute]


# Rules ----------------------------------------------------------------------------------------------------------------------


class TerritoryForm(forms.ModelForm):
    """Of a rule or a member: texts of at most 200 characters, one a line; repeats, in whatever case, count once."""

    states = Lines()
    zip_prefixes = Lines()
    specialties = Lines()
    tags = Lines()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in _TERRITORY:
            self.fields[name].label = capfirst(DistributionRule._meta.get_field(name).verbose_name)  # type: ignore[union-attr]  # no relation

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name in _TERRITORY:
            cleaned[name] = texts = rules.distinct(cleaned.get(name, []))
            if len(texts) > 2_000 or any(len(text) > 200 or "\x00" in text for text in texts):
                self.add_error(name, _("At most 2,000 lines of at most 200 characters."))
        return cleaned


class RuleForm(TerritoryForm):
    class Meta:
        model = DistributionRule
        fields = ["workspace", "name", "strategy", "position", "is_active", *_TERRITORY]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].validators.append(MaxLengthValidator(200))

    def clean_workspace(self) -> Workspace:
        return with_members(self.cleaned_data["workspace"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        workspace = cleaned.get("workspace")
        workspace_id = self.instance.workspace_id or (workspace and workspace.pk)
        if workspace_id and not rules.is_free(cleaned.get("name", ""), workspace_id=workspace_id, but=self.instance.pk):
            self.add_error("name", str(RuleNameTaken.message))
        return cleaned


class RuleMemberForm(TerritoryForm):
    class Meta:
        model = RuleMember
        fields = ["user", "weight", *_TERRITORY]


class RuleMembers(BaseInlineFormSet):
    def clean(self) -> None:
        super().clean()
        if self.instance.strategy != Strategy.TERRITORY:
            return
        for form in self.forms:
            given = getattr(form, "cleaned_data", {})
            if given.get("user") and not given.get("DELETE") and not any(given.get(name) for name in _TERRITORY):
                form.add_error("states", _("Each member needs a territory of their own."))


class RuleMemberInline(StackedInline):
    model = RuleMember
    form = RuleMemberForm
    formset = RuleMembers
    fields = [("user", "weight"), ("states", "zip_prefixes"), ("specialties", "tags")]
    extra = 0

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        self.workspace_id = obj.workspace_id if obj else 0
        return super().get_formset(request, obj, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RuleMember]:
        here = Membership.objects.filter(user=OuterRef("user"), workspace=OuterRef("rule__workspace"))
        return super().get_queryset(request).filter(Exists(here)).select_related("user").order_by("pk")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = _members_of(self.workspace_id)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    # whoever may change the rule
    has_add_permission = has_view_permission = has_change_permission = has_delete_permission = (
        lambda self, request, obj=None: True
    )


@admin.register(DistributionRule)
class DistributionRuleAdmin(TenantAdmin):
    """Members are put in once the rule is there: its workspace says who they can be."""

    icon = "alt_route"
    form = RuleForm
    list_display = ["name", "workspace", "strategy", "position", "is_active", "member_count"]
    list_filter = ["is_active", ("strategy", ChoicesDropdownFilter)]
    list_select_related = ["workspace"]
    search_fields = ["name"]
    autocomplete_fields = ["workspace"]
    ordering = ["workspace_id", "position", "id"]
    inlines = [RuleMemberInline]
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextInputWidget}}
    fieldsets = [
        (None, {"fields": ["workspace", "name", ("strategy", "position"), "is_active"]}),
        (_("Which leads"), {"fields": [("states", "zip_prefixes"), ("specialties", "tags")]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        members = RuleMember.objects.filter(rule=OuterRef("pk")).order_by().values("rule")
        return super().get_queryset(request).annotate(size=Subquery(members.values(number=Count("*"))))

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return list(self.inlines) if obj else []

    @display(description=_("members"))
    def member_count(self, rule: Any) -> int:
        return rule.size or 0

    def save_model(self, request: HttpRequest, obj: DistributionRule, form: Any, change: bool) -> None:
        rulebook.lock(obj.workspace_id)
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        rule: DistributionRule = form.instance
        others = any(formset.new_objects or formset.deleted_objects for formset in formsets)
        heavier = any("weight" in changed for formset in formsets for _row, changed in formset.changed_objects)
        if others or heavier or "strategy" in form.changed_data:
            rules.begin_anew(rule)
        distributing.retry(rule.workspace_id)

    def delete_model(self, request: HttpRequest, obj: DistributionRule) -> None:
        rules.delete(obj.pk, workspace=obj.workspace)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DistributionRule]) -> None:
        for rule in queryset.select_related("workspace"):
            rules.delete(rule.pk, workspace=rule.workspace)


# Who is there ---------------------------------------------------------------------------------------------------------------


class AvailabilityForm(forms.ModelForm):
    class Meta:
        model = Availability
        fields = ["workspace", "user", "daily_capacity", "absent_from", "absent_until"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        first, last = cleaned.get("absent_from"), cleaned.get("absent_until")
        if first and last and last < first:
            self.add_error("absent_until", _("This is before the first day away."))
        workspace, user = cleaned.get("workspace"), cleaned.get("user")
        if not self.instance.pk and workspace and user and not _members_of(workspace.pk).filter(pk=user.pk).exists():
            self.add_error("user", _("There is no such member."))
        return cleaned


@admin.register(Availability)
class AvailabilityAdmin(TenantAdmin):
    icon = "event_available"
    form = AvailabilityForm
    list_display = ["person", "workspace", "daily_capacity", "absent_from", "absent_until"]
    list_select_related = ["workspace", "user"]
    search_fields = ["user__email"]
    autocomplete_fields = ["workspace"]
    ordering = ["-id"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return ["workspace", "person" if obj else "user", "daily_capacity", ("absent_from", "absent_until")]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), *(["person"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: Availability, form: Any, change: bool) -> None:
        given = {name: getattr(obj, name) for name in ("daily_capacity", "absent_from", "absent_until")}
        rules.set_availability(obj.user, given, workspace=obj.workspace)
        obj.pk = Availability.objects.for_workspace(obj.workspace_id).get(user=obj.user_id).pk

    def delete_model(self, request: HttpRequest, obj: Availability) -> None:
        super().delete_model(request, obj)
        distributing.retry(obj.workspace_id)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Availability]) -> None:
        workspaces = set(queryset.values_list("workspace", flat=True))
        super().delete_queryset(request, queryset)
        for workspace_id in workspaces:
            distributing.retry(workspace_id)


# What became of leads -------------------------------------------------------------------------------------------------------


class AboutLeads(ReadOnly, TenantAdmin):
    """The lead may be gone, so it is never joined: rows would vanish from the list."""

    search_fields = ["lead_id"]
    search_help_text = _("A lead's id, or words in it.")
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        named = [NullIf(F(name), Value("", models.TextField())) for name in ("company", "name", "email")]
        lead = Lead.objects.filter(pk=OuterRef("lead_id")).values(shown=Coalesce(*named))
        return super().get_queryset(request).annotate(lead_title=Subquery(lead))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if term.isascii() and term.isdigit() and len(term) < 19:
            return queryset.filter(lead=int(term)), False
        return (queryset.filter(lead__in=Lead.objects.search(term).values("pk")) if term else queryset), False

    @display(description=_("lead"))
    def title(self, row: Any) -> str:
        return row.lead_title or ""

    @display(description=_("id"), ordering="lead")
    def lead_id(self, row: Any) -> int:
        found: int = row.lead_id
        return found


@admin.register(Assignment)
class AssignmentAdmin(AboutLeads):
    icon = "assignment_ind"
    list_display = ["lead_id", "title", "workspace", "person", "rule", "created_at"]
    list_select_related = ["workspace", "user", "rule"]
    fields = ["lead_id", "title", "workspace", "person", "rule", "reason", "created_at"]

    @display(description=_("why"))
    def reason(self, given: Assignment) -> str:
        return by_rule(given.facts)


@admin.register(WaitingLead)
class WaitingLeadAdmin(AboutLeads):
    icon = "hourglass_empty"
    list_display = ["lead_id", "title", "workspace", "why", "created_at"]
    list_select_related = ["workspace"]
    fields = ["lead_id", "title", "workspace", "why", "created_at"]
    actions = ["distribute_now"]

    @display(description=_("reason"), ordering="reason")
    def why(self, waiting: WaitingLead) -> str:
        return why_it_waits(waiting.reason)

    @admin.action(description=_("Distribute now"))
    def distribute_now(self, request: HttpRequest, queryset: QuerySet[WaitingLead]) -> None:
        _distribute(self, request, queryset.order_by().values_list("workspace", "lead"))
