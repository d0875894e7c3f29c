"""The admin: the operator sees everything, a manager the workspaces that they manage."""

from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import Any, cast

from django.apps import apps
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import PermissionDenied
from django.core.paginator import InvalidPage
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.forms import AdminOwnPasswordChangeForm
from unfold.sites import UnfoldAdminSite

from zevix.errors import Forbidden, Refusal

# the apps that are not ours have names for programmers
_TITLES = {"zevix": _("System"), "axes": _("Sign-in protection"), "procrastinate": _("Jobs")}


class ZevixAdminSite(UnfoldAdminSite):
    site_title = site_header = "Zevix"

    # accounts puts forms here (and in ``login_form``) that know its rules for signing in and for passwords
    own_password_form: type[AdminOwnPasswordChangeForm] = AdminOwnPasswordChangeForm

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                return view(request, *args, **kwargs)
            except PermissionDenied:
                return self._refused(request)

        return cast(Callable[..., Any], super().admin_view(guarded, cacheable))

    def _refused(self, request: HttpRequest) -> HttpResponse:
        """The first page, with the reason: people should not be shown the API's JSON."""
        messages.error(request, str(Forbidden.message))
        page = self.index(request)
        page.status_code = Forbidden.status
        return page

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """The newest layer first, what merely runs below it last; each app's lists in the order that it registered them."""
        layers = [config.label for config in apps.get_app_configs()][::-1]
        registered = list(self._registry)
        found = [self._titled(app) for app in self._build_app_dict(request, app_label).values()]
        for app in found:
            app["models"].sort(key=lambda row: registered.index(row["model"]))
        return sorted(found, key=lambda app: layers.index(app["app_label"]))

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        return [
            {
                "title": app["name"],
                "separator": number > 0,
                "items": [self._link(row, request) for row in app["models"]],
            }
            for number, app in enumerate(self.get_app_list(request))
        ]

    def get_log_entries(self, request: HttpRequest) -> Any:
        """What one did lately, for the first page. Managers get none: rows' names would outlive the right to see the rows."""
        entries = super().get_log_entries(request)
        return entries if is_operator(request) else entries.none()

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            return super().search(request, extra_context)
        except (ValueError, InvalidPage):
            raise Http404

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        view: Callable[[HttpRequest], Any] = PasswordChangeView.as_view(
            form_class=self.own_password_form,
            success_url=reverse("admin:password_change_done"),
            template_name="registration/password_change_form.html",
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return view(request)

    def _titled(self, app: dict[str, Any]) -> dict[str, Any]:
        return app | {"name": _TITLES.get(app["app_label"], app["name"])}

    def _link(self, row: dict[str, Any], request: HttpRequest) -> dict[str, Any]:
        return {
            "title": row["name"],
            "link": row["admin_url"],
            "icon": getattr(self.get_model_admin(row["model"]), "icon", "table_rows"),
            "active": request.path.startswith(row["admin_url"]),
            "has_permission": True,
        }


class Autocomplete(AutocompleteSelect):
    """Django's, except that a key which is none gives the form's error and no crash while it is shown again."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> list[Any]:
        keys = [key for key in value if str(key).isascii() and str(key).isdigit()]
        return super().optgroups(name, keys, attr)


class ZevixAdmin(ModelAdmin):
    """What all lists and forms here have in common; a refusal of an act is shown as its message."""

    icon = "table_rows"
    list_per_page = 50
    list_filter_submit = True
    # both would count whole tables
    show_full_result_count = False
    show_facets = ShowFacets.NEVER

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        return self._or_say_why(super().changeform_view, request, object_id, form_url, extra_context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return self._or_say_why(super().changelist_view, request, extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        return self._or_say_why(super().delete_view, request, object_id, extra_context)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", Autocomplete(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def _or_say_why(self, view: Callable[..., Any], request: HttpRequest, *args: Any) -> Any:
        try:
            return view(request, *args)
        except Refusal as refusal:
            if request.method != "POST":
                raise
            said = [str(refusal), *(str(line) for lines in (refusal.fields or {}).values() for line in lines)]
            self.message_user(request, " ".join(dict.fromkeys(said)), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


class OperatorAdmin(ZevixAdmin):
    """For what only the operator of this installation sees: plans, users, the log of events."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    has_view_permission = has_change_permission = has_delete_permission = lambda self, request, obj=None: is_operator(
        request
    )


class ManagedWorkspaceFilter(RelatedDropdownFilter):
    """For those who manage several workspaces; it knows no others."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: ModelAdmin) -> Any:
        return field.get_choices(include_blank=False, limit_choices_to={"pk__in": managed_workspaces(request)})


class TenantAdmin(ZevixAdmin):
    """For a workspace's rows: managers see and change those of the workspaces that they manage.

    ``workspace_path`` leads from the model to its workspace. The choices of every foreign key are scoped likewise. A row's
    workspace is chosen when it is added, and stays.
    """

    workspace_path = "workspace"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        if is_operator(request):
            return rows
        return rows.filter(**{f"{self.workspace_path}__in": managed_workspaces(request)})

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = list(super().get_list_display(request))
        return [column for column in columns if column != "workspace"] if _sees_one_workspace(request) else columns

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters = list(super().get_list_filter(request))
        if self.workspace_path == "pk" or _sees_one_workspace(request):
            return filters
        if is_operator(request):
            return [*filters, (self.workspace_path, AutocompleteSelectFilter)]
        return [*filters, (self.workspace_path, ManagedWorkspaceFilter)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = list(super().get_readonly_fields(request, obj))
        return [*fields, "workspace"] if obj and self.workspace_path == "workspace" else fields

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if not is_operator(request):
            choices = kwargs.get("queryset", db_field.remote_field.model._default_manager.all())
            path = _path_to_workspace(db_field.remote_field.model)
            kwargs["queryset"] = (
                choices.filter(**{f"{path}__in": managed_workspaces(request)}).distinct() if path else choices.none()
            )
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_staff

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    # get_queryset has narrowed the rows already; this holds as well where a row comes from elsewhere
    has_view_permission = has_change_permission = has_delete_permission = lambda self, request, obj=None: (
        self.has_module_permission(request) and self._is_within_reach(request, obj)
    )

    def _is_within_reach(self, request: HttpRequest, row: Any) -> bool:
        return row is None or is_operator(request) or self.workspace_of(row) in managed_workspaces(request)

    @display(description=_("user"), ordering="user__email")
    def person(self, row: Any) -> Any:
        """The row's ``user`` as text: the link that a form makes of it leads to a page for the operator alone."""
        return row.user

    def workspace_of(self, row: Any) -> int:
        """The id of the row's workspace."""
        path = self.workspace_path
        found: int = attrgetter("pk" if path == "pk" else f"{path}_id".replace("__", "."))(row)
        return found


class ReadOnly:
    """For ledgers: to be read, never written by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def is_operator(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


def managed_workspaces(request: HttpRequest) -> list[int]:
    return request.user.managed_workspaces  # type: ignore[union-attr]  # has_permission has turned strangers away


def _sees_one_workspace(request: HttpRequest) -> bool:
    return not is_operator(request) and len(managed_workspaces(request)) == 1


def _path_to_workspace(model: type[Model]) -> str | None:
    """How a model's rows lead to a workspace: themselves, by their own key, or by membership."""
    names = {field.name for field in model._meta.get_fields()}
    if model._meta.label == "accounts.Workspace":
        return "pk"
    if "workspace" in names:
        return "workspace"
    return "memberships__workspace" if "memberships" in names else None
