"""Connections with Pipedrive: how each stands, and what it keeps in step. The token goes in, and is never shown."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.admin import user_of
from accounts.admin.members import with_members
from accounts.models import Workspace
from crm.models import Connection
from crm.pipedrive import accounts
from crm.pipedrive.accounts.opening import mapping_of
from crm.serializers.connection import MappingEntryRequest, as_connection
from leads.admin.merging import ActsOnRows
from zevix.admin_site import TenantAdmin

Wanted = tuple[Workspace, dict[str, Any]]
_COLOURS = {"active": "success", "paused": "warning", "broken": "danger", "disconnected": None}


class ConnectionForm(forms.ModelForm):
    """What the API's PUT takes; an empty token is none."""

    api_token = forms.RegexField(
        r"^[\x21-\x7e]+\Z",
        max_length=200,
        required=False,
        label=_("API token"),
        help_text=_("In Pipedrive under Personal preferences, API. It is kept sealed, and never shown."),
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )
    pipeline = forms.TypedChoiceField(
        coerce=int, required=False, label=_("Pipeline of the deals"), widget=UnfoldAdminSelectWidget
    )
    stage_names = forms.JSONField(
        required=False,
        label=_("Stages"),
        help_text=_("Status of a lead → name of a stage. Empty: chosen by their names and order."),
        widget=UnfoldAdminTextareaWidget,
    )
    entries = forms.JSONField(
        required=False,
        label=_("Fields in step"),
        help_text=_(
            "A list of {lead, entity, field, owner}; the owner is zevix, pipedrive or latest. Empty: those that both sides have."
        ),
        widget=UnfoldAdminTextareaWidget,
    )

    class Meta:
        model = Connection
        fields = ["workspace", "domain", "scope", "takes_new"]
        widgets = {"domain": UnfoldAdminTextInputWidget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            shown = as_connection(self.instance)
            self.fields["pipeline"].choices = [(row["id"], row["name"]) for row in shown["available"]["pipelines"]]  # type: ignore[attr-defined]  # a choice
            self.fields["pipeline"].initial = self.instance.pipeline_id
            self.fields["stage_names"].initial = {status: stage["name"] for status, stage in shown["stages"].items()}
            self.fields["entries"].initial = [
                {name: entry[name] for name in ("lead", "entity", "field", "owner")} for entry in shown["mapping"]
            ]

    def clean_workspace(self) -> Workspace:
        return with_members(self.cleaned_data["workspace"])

    def clean_stage_names(self) -> dict[str, Any]:
        given = self.cleaned_data["stage_names"]
        given = {} if given is None else given
        if not isinstance(given, dict) or not all(isinstance(name, str | int) for name in given.values()):
            raise forms.ValidationError(_("A JSON object: status → stage."))
        return given

    def clean_entries(self) -> list[dict[str, Any]]:
        given = self.cleaned_data["entries"]
        given = [] if given is None else given
        if not isinstance(given, list):
            raise forms.ValidationError(_("A JSON list of objects."))
        checked = MappingEntryRequest(data=given, many=True)
        if not checked.is_valid():
            raise forms.ValidationError(json.dumps(checked.errors, ensure_ascii=False, default=str)[:500])
        return [dict(entry) for entry in checked.validated_data]

    @property
    def changes(self) -> dict[str, Any]:
        """As `accounts.configure` takes them: what was changed in the form alone, so that Pipedrive is only asked where it must be."""
        names = {"stage_names": "stages", "entries": "mapping"}
        changed = [name for name in self.changed_data if name != "workspace"]
        changes = {names.get(name, name): self.cleaned_data[name] for name in changed}
        return {name: value for name, value in changes.items() if name not in ("api_token", "pipeline") or value}


@admin.register(Connection)
class ConnectionAdmin(ActsOnRows, TenantAdmin):
    icon = "sync_alt"
    form = ConnectionForm
    list_display = ["company", "workspace", "coloured_state", "scope", "problem", "connected_at"]
    list_filter = [("state", ChoicesDropdownFilter), ("scope", ChoicesDropdownFilter)]
    list_select_related = ["workspace"]
    search_fields = ["company_name", "domain", "workspace__name", "problem"]
    autocomplete_fields = ["workspace"]
    readonly_fields = [
        "coloured_state", "company", "source", "problem", "retry_at", "connected_at", "hook", "in_step", "account_read_at", "swept_until",
    ]  # fmt: skip
    ordering = ["-id"]
    actions = ["check_now", "pause", "resume", "disconnect"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is None:
            return ["workspace", ("api_token", "domain"), ("scope", "takes_new")]
        return [
            ("company", "workspace"), ("coloured_state", "retry_at"), "problem", ("api_token", "domain"), "source", ("scope", "takes_new"),
            "pipeline", "stage_names", "entries", "in_step", "hook", ("connected_at", "account_read_at", "swept_until"),
        ]  # fmt: skip

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """All that is linked would go along: a connection is taken apart by its action."""
        return False

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Django handles a form in a transaction; what it wants is carried out after that, since Pipedrive is asked."""
        wanted: list[Wanted] = []
        request.wanted = wanted  # type: ignore[attr-defined]  # for save_model
        answer = super().changeform_view(request, *args, **kwargs)
        return self._or_say_why(self._carry_out, request, wanted, answer)

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        if not change:
            unready = {"state": Connection.State.DISCONNECTED.value}
            kept, _made = Connection.objects.get_or_create(workspace=obj.workspace, defaults=unready)
            obj.__dict__.update(kept.__dict__)
        if form.changes or not change:
            request.wanted.append((form.cleaned_data.get("workspace") or obj.workspace, form.changes))  # type: ignore[attr-defined]

    def _carry_out(self, request: HttpRequest, wanted: list[Wanted], answer: Any) -> Any:
        for workspace, changes in wanted:
            accounts.configure(workspace, changes, by=user_of(request))
            self.message_user(request, _("The connection is saved."), messages.SUCCESS)
        return answer

    def response_add(self, request: HttpRequest, obj: Connection, post_url_continue: str | None = None) -> Any:
        return self.response_post_save_add(request, obj)

    def response_change(self, request: HttpRequest, obj: Connection) -> Any:
        return self.response_post_save_change(request, obj)

    @admin.action(description=_("Check now"), permissions=["change"])
    def check_now(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        count = self.act_on_each(request, queryset, accounts.check_now)
        self.report(request, ngettext("{count} connection works.", "{count} connections work.", count), count)

    @admin.action(description=_("Pause"), permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        count = self._configure(request, queryset, {"state": Connection.State.PAUSED.value})
        self.report(request, ngettext("{count} connection is paused.", "{count} connections are paused.", count), count)

    @admin.action(description=_("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        count = self._configure(request, queryset, {"state": Connection.State.ACTIVE.value})
        self.report(request, ngettext("{count} connection goes on.", "{count} connections go on.", count), count)

    @admin.action(description=_("Disconnect"), permissions=["change"])
    def disconnect(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        by = user_of(request)
        count = self.act_on_each(request, queryset, lambda one: accounts.disconnect(one.workspace, by=by))
        self.report(request, ngettext("{count} connection is taken apart.", "{count} connections are taken apart.", count), count)  # fmt: skip

    def _configure(self, request: HttpRequest, queryset: QuerySet[Connection], changes: dict[str, Any]) -> int:
        by = user_of(request)
        return self.act_on_each(request, queryset, lambda one: accounts.configure(one.workspace, changes, by=by))

    @display(description=_("company"), ordering="company_name")
    def company(self, connection: Connection) -> str:
        return str(connection)

    @display(
        description=_("how it stands"),
        ordering="state",
        label={Connection.State(value).label: colour for value, colour in _COLOURS.items()},
    )
    def coloured_state(self, connection: Connection) -> str:
        return connection.get_state_display()

    @display(description=_("token"))
    def source(self, connection: Connection) -> str:
        hint = accounts.hint(connection)
        return hint if connection.sealed_token or not hint else f"{hint} (PIPEDRIVE_API_KEY)"

    @display(description=_("webhook"))
    def hook(self, connection: Connection) -> Any:
        return connection.webhook_problem or (_("registered") if connection.webhook_id else "–")

    @display(description=_("problems of the fields"))
    def in_step(self, connection: Connection) -> SafeString:
        problems = mapping_of(connection).problems if connection.account else []
        return format_html_join("", "<p>{}</p>", ((one,) for one in problems)) or format_html("{}", _("None."))
