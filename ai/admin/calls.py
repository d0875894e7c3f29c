"""What was asked of the AI, and what that cost."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from ai.knowledge.vectors import ACTION as EMBED
from ai.models import AICall, AIMonth
from ai.prompts.evaluating import ACTION
from ai.prompts.keys import KEYS
from ai.usage import dollars
from zevix.admin_site import ReadOnly, TenantAdmin

_COLOURS = {
    "running": "info", "completed": "success", "incomplete": "warning", "refused": "warning", "failed": "danger",
    "abandoned": "danger",
}  # fmt: skip


class _OneOf(DropdownFilter):
    """By a column's values as they are known here: those in the table would tell of other workspaces."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{self.parameter_name: value}) if value else queryset


class ActionFilter(_OneOf):
    title, parameter_name = _("action"), "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in (*KEYS, ACTION, EMBED)]


class ModelFilter(_OneOf):
    title, parameter_name = _("model"), "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in settings.AI_PRICES]


class DayFilter(DropdownFilter):
    title, parameter_name = _("day"), "day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("Today")), ("7", _("The last 7 days")), ("30", _("The last 30 days"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        days = {"1": 1, "7": 7, "30": 30}.get(self.value() or "")
        if days is None:
            return queryset
        today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return queryset.filter(created_at__gte=today - timedelta(days=days - 1))


@admin.register(AICall)
class AICallAdmin(ReadOnly, TenantAdmin):
    icon = "smart_toy"
    list_display = ["created_at", "action", "coloured_outcome", "model", "tokens", "cost_told", "duration_ms", "person", "workspace"]  # fmt: skip
    list_filter = [ActionFilter, ModelFilter, ("outcome", ChoicesDropdownFilter), DayFilter]
    list_select_related = ["workspace", "user"]
    search_fields = ["user__email", "action", "model"]
    fields = [
        "workspace", ("action", "prompt_told", "model"), ("outcome", "error", "attempts"),
        ("input_tokens", "cached_tokens", "output_tokens"), ("cost_told", "reserved_told"),
        ("person", "created_at", "finished_at", "duration_ms"), "input_hash",
    ]  # fmt: skip
    ordering = ["-id"]

    @display(
        description=_("outcome"),
        ordering="outcome",
        label={label: _COLOURS[value] for value, label in AICall.Outcome.choices},
    )
    def coloured_outcome(self, call: AICall) -> str:
        return call.get_outcome_display()

    @display(description=_("tokens in, out"))
    def tokens(self, call: AICall) -> str:
        return f"{call.input_tokens:,} / {call.output_tokens:,}"

    @display(description=_("US dollars"), ordering="cost")
    def cost_told(self, call: AICall) -> str:
        return dollars(call.cost)

    @display(description=_("US dollars held back"), ordering="reserved")
    def reserved_told(self, call: AICall) -> str:
        return dollars(call.reserved)

    @display(description=_("prompt version"))
    def prompt_told(self, call: AICall) -> str:
        return str(call.prompt_version or "")


@admin.register(AIMonth)
class AIMonthAdmin(ReadOnly, TenantAdmin):
    icon = "account_balance_wallet"
    list_display = ["month", "workspace", "spent_told", "reserved_told"]
    list_filter = ["month"]
    list_select_related = ["workspace"]
    search_fields = ["workspace__name", "month"]
    fields = ["workspace", "month", ("spent_told", "reserved_told")]
    ordering = ["-month", "-id"]

    @display(description=_("US dollars"), ordering="spent")
    def spent_told(self, month: AIMonth) -> str:
        return dollars(month.spent)

    @display(description=_("US dollars held back"), ordering="reserved")
    def reserved_told(self, month: AIMonth) -> str:
        return dollars(month.reserved)
