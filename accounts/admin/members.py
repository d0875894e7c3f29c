"""Workspaces and their members."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts import roles, seats
from accounts.errors import LastAdmin
from accounts.models import Membership, Role, User, Workspace
from zevix.admin_site import TenantAdmin, is_operator

_ROLE_COLOURS = {Role.ADMIN: "danger", Role.MANAGER: "warning", Role.AGENT: "info"}


def user_of(request: HttpRequest) -> User:
    """Who asks. The site lets no stranger in."""
    assert isinstance(request.user, User)
    return request.user


def administers(request: HttpRequest, workspace_id: int | None = None) -> bool:
    """Whether the caller is the operator or an admin of this workspace; without one, of any."""
    if is_operator(request):
        return True
    administered = user_of(request).administered_workspaces
    return bool(administered) if workspace_id is None else workspace_id in administered


def with_members(workspace: Workspace) -> Workspace:
    if workspace.is_catalogue:
        raise forms.ValidationError(_("The catalogue belongs to the operator; it has no members."))
    return workspace


@admin.register(Workspace)
class WorkspaceAdmin(TenantAdmin):
    """Managers see their workspace, its admins rename it. Nobody deletes one here: all its leads would go, one by one."""

    icon = "apartment"
    workspace_path = "pk"
    list_display = ["name", "member_count", "created_at"]
    search_fields = ["name"]
    fields: list[Any] = ["name", "created_at"]
    readonly_fields = ["created_at"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        members = Membership.objects.filter(workspace=OuterRef("pk")).order_by().values("workspace")
        return super().get_queryset(request).annotate(members=Subquery(members.values(number=Count("*"))))

    @display(description=_("members"))
    def member_count(self, workspace: Any) -> int:
        return workspace.members or 0

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request) and administers(request, obj and obj.pk)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipForm(forms.ModelForm):
    def clean_workspace(self) -> Workspace:
        return with_members(self.cleaned_data["workspace"])

    def clean_role(self) -> str:
        role: str = self.cleaned_data["role"]
        if self.instance.pk and role != Role.ADMIN and roles.is_last_admin(self.instance):
            raise forms.ValidationError(str(LastAdmin.message))
        return role


@admin.register(Membership)
class MembershipAdmin(TenantAdmin):
    """All who manage a workspace see its members; its admins change roles and take members out, the operator puts them in."""

    icon = "group"
    form = MembershipForm
    list_display = ["person", "workspace", "coloured_role", "is_active", "last_activity", "created_at"]
    list_filter = [("role", ChoicesDropdownFilter)]
    list_select_related = ["user", "workspace"]
    search_fields = ["user__email", "user__username"]
    autocomplete_fields = ["user", "workspace"]
    readonly_fields = ["person", "is_active", "last_activity", "created_at"]
    ordering = ["-id"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return ["user", "workspace", "role"]
        return ["person", "workspace", "role", "is_active", "last_activity", "created_at"]

    @display(description=_("role"), ordering="role", label=_ROLE_COLOURS)
    def coloured_role(self, member: Membership) -> tuple[str, str]:
        return member.role, member.get_role_display()

    @display(description=_("active"), ordering="user__is_active", boolean=True)
    def is_active(self, member: Membership) -> bool:
        return member.user.is_active

    @display(description=_("last activity"), ordering="user__last_activity")
    def last_activity(self, member: Membership) -> str:
        return localize(timezone.localtime(member.user.last_activity)) if member.user.last_activity else "-"

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        if change:
            roles.change(obj, form.cleaned_data["role"])
        else:
            seats.lock(obj.workspace)
            seats.require_for_member(obj.workspace)
            super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        roles.remove([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        roles.remove(queryset)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    # a manager who could change roles could make themselves an admin
    has_change_permission = has_delete_permission = lambda self, request, obj=None: (
        self.has_view_permission(request, obj) and administers(request, obj and obj.workspace_id)
    )
