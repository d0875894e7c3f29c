"""Sign-ins, by their refresh tokens."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from accounts import tokens
from accounts.admin.members import administers, user_of
from accounts.models import RefreshToken
from zevix.admin_site import ReadOnly, TenantAdmin, is_operator


class StateFilter(DropdownFilter):
    """Each use of a refresh token leaves a dead one behind, so those that live are shown unless asked otherwise."""

    title, parameter_name = _("sign-in state"), "state"
    all_option = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("live", _("Live")), ("ended", _("Ended")), ("all", _("All, with those used"))]

    def value(self) -> str:
        return super().value() or "live"

    def queryset(self, request: HttpRequest, queryset: QuerySet[RefreshToken]) -> QuerySet[RefreshToken]:
        match self.value():
            case "live":
                return queryset.filter(used_at=None, revoked_at=None, expires_at__gt=timezone.now())
            case "ended":
                return queryset.exclude(revoked_at=None)
        return queryset


@admin.register(RefreshToken)
class RefreshTokenAdmin(ReadOnly, TenantAdmin):
    icon = "key"
    list_display = ["person", "workspace", "state", "created_at", "expires_at", "revoked_at"]
    list_filter = [StateFilter]
    list_select_related = ["user", "workspace"]
    search_fields = ["user__email", "user__username"]
    fields = ["person", "workspace", "family", "state", "created_at", "used_at", "revoked_at", "expires_at"]
    ordering = ["-id"]
    actions = ["end"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RefreshToken]:
        return super().get_queryset(request).defer("digest")

    @display(
        description=_("sign-in state"),
        label={"live": "success", "used": "info", "ended": "danger", "expired": "warning"},
    )
    def state(self, token: RefreshToken) -> tuple[str, Any]:
        if token.revoked_at:
            return "ended", _("Ended")
        if token.used_at:
            return "used", _("Used")
        return ("live", _("Live")) if token.expires_at > timezone.now() else ("expired", _("Expired"))

    def has_end_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request) and administers(request)

    @admin.action(description=_("End these sign-ins"), permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[RefreshToken]) -> None:
        if not is_operator(request):
            queryset = queryset.filter(workspace__in=user_of(request).administered_workspaces)
        families = set(queryset.values_list("family", flat=True))
        tokens.revoke_families(families)
        sentence = ngettext("{count} sign-in is ended.", "{count} sign-ins are ended.", len(families))
        self.message_user(request, sentence.format(count=len(families)), messages.SUCCESS)
