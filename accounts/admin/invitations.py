"""Who is invited."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from accounts import invitations
from accounts.admin.members import MembershipAdmin, administers, user_of, with_members
from accounts.forms import in_small_letters
from accounts.models import Invitation, Workspace
from zevix.admin_site import TenantAdmin, is_operator

_STATUSES = {
    "open": _("Open"),
    "expired": _("Expired"),
    "accepted": _("Accepted"),
    "revoked": _("Revoked"),
}


class InvitationForm(forms.ModelForm):
    class Meta:
        model = Invitation
        fields = ["workspace", "email", "role"]

    def clean_email(self) -> str:
        return in_small_letters(self.cleaned_data["email"])

    def clean_workspace(self) -> Workspace:
        return with_members(self.cleaned_data["workspace"])

    def clean(self) -> dict[str, Any]:
        # Django's would refuse an address that has an open invitation; inviting it again renews that one
        cleaned: dict[str, Any] = self.cleaned_data
        return cleaned


class StatusFilter(DropdownFilter):
    title, parameter_name = _("status"), "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(_STATUSES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> QuerySet[Invitation]:
        match self.value():
            case "open":
                return queryset.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())
            case "expired":
                return queryset.filter(accepted_at=None, revoked_at=None, expires_at__lte=timezone.now())
            case "accepted":
                return queryset.exclude(accepted_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
        return queryset


@admin.register(Invitation)
class InvitationAdmin(TenantAdmin):
    """All who manage a workspace see whom its admins invited; admins invite, mail again and take back."""

    icon = "mail"
    form = InvitationForm
    list_display = ["email", "workspace", "coloured_role", "coloured_status", "invited_by", "created_at", "expires_at"]
    list_filter = [("role", ChoicesDropdownFilter), StatusFilter]
    list_select_related = ["workspace", "invited_by"]
    search_fields = ["email", "invited_by__email"]
    autocomplete_fields = ["workspace"]
    readonly_fields = ["coloured_status", "inviter", "created_at", "expires_at", "accepted_at", "revoked_at"]
    ordering = ["-id"]
    actions = ["resend", "revoke"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["workspace", "email", "role", *(self.readonly_fields if obj else [])]

    coloured_role = MembershipAdmin.coloured_role

    @display(
        description=_("status"),
        label={"open": "info", "expired": "warning", "accepted": "success", "revoked": "danger"},
    )
    def coloured_status(self, invitation: Invitation) -> tuple[str, Any]:
        return invitation.status, _STATUSES[invitation.status]

    @display(description=_("invited by"))
    def inviter(self, invitation: Invitation) -> Any:
        """As text, as `person` is."""
        return invitation.invited_by or "-"

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if not is_operator(request):
            kwargs["queryset"] = Workspace.objects.filter(pk__in=user_of(request).administered_workspaces)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        invited = invitations.invite(
            obj.email, obj.role, by=user_of(request), workspace=obj.workspace, language=_language()
        )
        obj.pk = invited.pk
        sentence = _("The link, shown this once: {link}").format(link=invitations.link_of(invited))
        self.message_user(request, sentence, messages.WARNING)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request) and administers(request)

    has_invite_permission = has_add_permission

    has_change_permission = has_delete_permission = lambda self, request, obj=None: False

    @admin.action(description=_("Mail the link again"), permissions=["invite"])
    def resend(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        count = invitations.resend(self._administered(request, queryset), language=_language())
        sentence = ngettext("{count} invitation is mailed again.", "{count} invitations are mailed again.", count)
        self._report(request, sentence, count)

    @admin.action(description=_("Revoke"), permissions=["invite"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        count = invitations.revoke(self._administered(request, queryset))
        sentence = ngettext("{count} invitation is revoked.", "{count} invitations are revoked.", count)
        self._report(request, sentence, count)

    def _administered(self, request: HttpRequest, queryset: Any) -> Any:
        if is_operator(request):
            return queryset
        return queryset.filter(workspace__in=user_of(request).administered_workspaces)

    def _report(self, request: HttpRequest, sentence: str, count: int) -> None:
        self.message_user(request, sentence.format(count=count), messages.SUCCESS if count else messages.WARNING)


def _language() -> str:
    return get_language() or "en"
