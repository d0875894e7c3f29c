"""Activities: a list of their own, and the latest ones on a lead's page."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from leads import activities
from leads.admin.acts import author
from leads.admin.leads import AssigneeFilter, LeadAdmin
from leads.history import Author
from leads.models import Activity
from leads.values import MAX_NOTES
from zevix.admin_site import ReadOnly, TenantAdmin

_LATEST = 10
_WRITTEN = ("type", "text", "due_at", "done_at")
_COLOURS = {
    Activity.Type.CALL: "success", Activity.Type.EMAIL: "success", Activity.Type.MEETING: "success",
    Activity.Type.TASK: "warning", Activity.Type.NOTE: "info", Activity.Type.STATUS_CHANGE: "default",
}  # fmt: skip


class ActivityForm(forms.ModelForm):
    text = forms.CharField(
        required=False, max_length=MAX_NOTES, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2})
    )  # fmt: skip

    class Meta:
        model = Activity
        fields = ["lead", *_WRITTEN]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "text" in self.fields:
            self.fields["text"].label = capfirst(Activity._meta.get_field("text").verbose_name)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        told = Activity(**{name: cleaned[name] for name in _WRITTEN if name in cleaned})
        for name, sentences in activities.problems(told).items():
            self.add_error(name, sentences)
        return cleaned

    def written(self) -> dict[str, Any]:
        """The fields as `leads.activities` takes them."""
        return {name: self.cleaned_data[name] for name in _WRITTEN}


class StateFilter(DropdownFilter):
    title, parameter_name = _("task"), "task"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("Open")), ("overdue", _("Overdue")), ("done", _("Done"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "open":
                return queryset.open()
            case "overdue":
                return queryset.open().filter(due_at__lte=timezone.now())
            case "done":
                return queryset.filter(type=Activity.Type.TASK, done_at__isnull=False)
        return queryset


class PersonFilter(AssigneeFilter):
    """The same people, as those who wrote something down."""

    title, parameter_name, column = _("user"), "person", "user"


@admin.register(Activity)
class ActivityAdmin(TenantAdmin):
    icon = "event_note"
    form = ActivityForm
    list_display = ["coloured_type", "headline", "lead", "person", "due_at", "done_at", "workspace", "created_at"]
    list_filter = [("type", ChoicesDropdownFilter), StateFilter, PersonFilter]
    list_select_related = ["workspace", "user", "lead"]
    search_fields = ["text"]
    autocomplete_fields = ["lead"]
    readonly_fields = ["person", "created_at", "updated_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Activity]:
        found: Any = super().get_queryset(request)
        return found.of_present_leads().defer("lead__search_vector")

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["-id"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields: list[Any] = ["lead", "type", "text", ("due_at", "done_at")]
        return [*fields, ("person", "created_at", "updated_at")] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "lead"] if obj else fields

    def save_model(self, request: HttpRequest, obj: Activity, form: Any, change: bool) -> None:
        place, by = obj.lead.workspace_id, author(request)
        if change:
            activities.change(obj.pk, form.written(), workspace=place, by=by)
        else:
            obj.pk = activities.add(obj.lead_id, form.written(), workspace=place, by=by)

    def delete_model(self, request: HttpRequest, obj: Activity) -> None:
        activities.delete(obj.pk, workspace=obj.workspace_id, by=author(request))

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Activity]) -> None:
        # by lead, as everybody who locks several leads does
        for activity in queryset.order_by("lead_id", "id"):
            self.delete_model(request, activity)

    @display(description=_("type"), ordering="type", label=_COLOURS)
    def coloured_type(self, activity: Activity) -> tuple[str, Any]:
        return activity.type, activity.get_type_display()

    @display(description=_("text"))
    def headline(self, activity: Activity) -> str:
        return activity.headline[:100]


# On a lead's page ---------------------------------------------------------------------------------------------------------


class LatestActivities(BaseInlineFormSet):
    author: Author

    def get_queryset(self) -> Any:
        # one that was among the latest when the page was shown may not be by now
        if self.is_bound:
            return super().get_queryset()
        if not hasattr(self, "_latest"):
            self._latest = list(super().get_queryset()[:_LATEST])
        return self._latest

    def save_new(self, form: Any, commit: bool = True) -> Activity:
        lead = self.instance
        form.instance.pk = activities.add(lead.pk, form.written(), workspace=lead.workspace_id, by=self.author)
        found: Activity = form.instance
        return found


class ActivityInline(ReadOnly, TabularInline):
    """What was done lately, to be read, and a line for something new. The rest is on the list of activities."""

    model = Activity
    form = ActivityForm
    fields = ["type", "text", "due_at", "done_at", "person", "created_at"]
    readonly_fields = ["person", "created_at"]
    extra = 1
    verbose_name, verbose_name_plural = _("activity"), _("latest activities")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Activity]:
        return Activity.objects.select_related("user").order_by("-id")  # the form set takes the lead's

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = type("LatestActivities", (LatestActivities,), {"author": author(request)})
        return super().get_formset(request, obj, formset=formset, **kwargs)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None  # whose page it is was asked before

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None

    @display(description=_("user"))
    def person(self, activity: Activity) -> Any:
        return activity.user


LeadAdmin.inlines = [*LeadAdmin.inlines, ActivityInline]
