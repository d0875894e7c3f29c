"""The admin: the operator sees everything, a manager the workspaces that they manage."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.sites import UnfoldAdminSite

Row = TypeVar("Row", bound=Model)


class ZevixAdminSite(UnfoldAdminSite):
    site_title = site_header = "Zevix"


class OperatorAdmin(ModelAdmin):
    """For what only the operator of this installation sees: plans, users, the log of events."""

    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_operator(request)

    has_view_permission = has_add_permission = has_change_permission = has_delete_permission = (
        lambda self, request, obj=None: _is_operator(request)
    )


class TenantAdmin(ModelAdmin):
    """For a workspace's rows: managers see and change those of the workspaces that they manage.

    ``workspace_path`` leads from the model to its workspace. The choices of every foreign key are scoped likewise.
    """

    workspace_path = "workspace"
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        if _is_operator(request):
            return rows
        return rows.filter(**{f"{self.workspace_path}__in": _managed(request)})

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = super().get_list_filter(request)
        return [*filters, self.workspace_path] if _is_operator(request) else filters

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if not _is_operator(request):
            choices = kwargs.get("queryset", db_field.remote_field.model._default_manager.all())
            path = _path_to_workspace(db_field.remote_field.model)
            kwargs["queryset"] = (
                choices.filter(**{f"{path}__in": _managed(request)}).distinct() if path else choices.none()
            )
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_staff

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    # get_queryset has already narrowed the rows to the manager's own
    has_view_permission = has_change_permission = has_delete_permission = lambda self, request, obj=None: (
        self.has_module_permission(request)
    )


class ReadOnly:
    """For ledgers: to be read, never written by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _is_operator(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


def _managed(request: HttpRequest) -> list[int]:
    return request.user.managed_workspaces  # type: ignore[union-attr]  # has_permission has turned strangers away


def _path_to_workspace(model: type[Model]) -> str | None:
    """How a model's rows lead to a workspace: themselves, by their own key, or by membership."""
    names = {field.name for field in model._meta.get_fields()}
    if model._meta.label == "accounts.Workspace":
        return "pk"
    if "workspace" in names:
        return "workspace"
    return "memberships__workspace" if "memberships" in names else None
