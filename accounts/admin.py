"""Workspaces, members, users, sign-ins."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display
from unfold.forms import (
    AdminOwnPasswordChangeForm,
    AdminPasswordChangeForm,
    AuthenticationForm,
    UserChangeForm,
    UserCreationForm,
)

from accounts import invitations, passwords, roles, tokens
from accounts.errors import AccountExists, LastAdmin
from accounts.models import Invitation, Membership, RefreshToken, Role, User, Workspace
from accounts.sign_in import recognise
from zevix.admin_site import OperatorAdmin, ReadOnly, TenantAdmin, is_operator
from zevix.errors import Refusal

_INVITATION_STATES = {
    "open": _("Open"),
    "expired": _("Expired"),
    "accepted": _("Accepted"),
    "revoked": _("Revoked"),
}
_ROLE_COLOURS = {Role.ADMIN: "danger", Role.MANAGER: "warning", Role.AGENT: "info"}


def administers(request: HttpRequest, workspace_id: int | None = None) -> bool:
    """Whether the caller is the operator or an admin of this workspace; without one, of any."""
    if is_operator(request):
        return True
    administered = request.user.administered_workspaces  # type: ignore[union-attr]  # the site lets no stranger in
    return bool(administered) if workspace_id is None else workspace_id in administered


# Workspaces and members ---------------------------------------------------------------------------------------------------


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
        return _with_members(self.cleaned_data["workspace"])

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


class InvitationForm(forms.ModelForm):
    class Meta:
        model = Invitation
        fields = ["workspace", "email", "role"]

    def clean_email(self) -> str:
        return _in_small_letters(self.cleaned_data["email"])

    def clean_workspace(self) -> Workspace:
        return _with_members(self.cleaned_data["workspace"])

    def clean(self) -> dict[str, Any]:
        # Django's would refuse an address that has an open invitation; inviting it again renews that one
        cleaned: dict[str, Any] = self.cleaned_data
        return cleaned


class InvitationStateFilter(DropdownFilter):
    title, parameter_name = _("state"), "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(_INVITATION_STATES.items())

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
    list_display = ["email", "workspace", "coloured_role", "coloured_state", "invited_by", "created_at", "expires_at"]
    list_filter = [("role", ChoicesDropdownFilter), InvitationStateFilter]
    list_select_related = ["workspace", "invited_by"]
    search_fields = ["email", "invited_by__email"]
    autocomplete_fields = ["workspace"]
    readonly_fields = ["coloured_state", "inviter", "created_at", "expires_at", "accepted_at", "revoked_at"]
    ordering = ["-id"]
    actions = ["resend", "revoke"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["workspace", "email", "role", *(self.readonly_fields if obj else [])]

    coloured_role = MembershipAdmin.coloured_role

    @display(
        description=_("state"),
        label={"open": "info", "expired": "warning", "accepted": "success", "revoked": "danger"},
    )
    def coloured_state(self, invitation: Invitation) -> tuple[str, Any]:
        return invitation.state, _INVITATION_STATES[invitation.state]

    @display(description=_("invited by"))
    def inviter(self, invitation: Invitation) -> Any:
        """As text, as `person` is."""
        return invitation.invited_by or "-"

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if not is_operator(request):
            administered = request.user.administered_workspaces  # type: ignore[union-attr]
            kwargs["queryset"] = Workspace.objects.filter(pk__in=administered)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        invited = invitations.invite(
            obj.email, obj.role, by=cast(User, request.user), workspace=obj.workspace, language=_language()
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
        return queryset.filter(workspace__in=request.user.administered_workspaces)  # type: ignore[union-attr]

    def _report(self, request: HttpRequest, sentence: str, count: int) -> None:
        self.message_user(request, sentence.format(count=count), messages.SUCCESS if count else messages.WARNING)


def _with_members(workspace: Workspace) -> Workspace:
    if workspace.is_catalogue:
        raise forms.ValidationError(_("The catalogue belongs to the operator; it has no members."))
    return workspace


def _in_small_letters(address: str) -> str:
    email = address.lower()
    if len(email) > 254:  # some letters grow (İ)
        raise forms.ValidationError(_("At most {limit} characters.").format(limit=254))
    return email


def _language() -> str:
    return get_language() or "en"


# Users --------------------------------------------------------------------------------------------------------------------


class _Named(forms.ModelForm):
    """E-mail address and username as registering has them: in small letters, and nobody else's."""

    def clean_email(self) -> str:
        email = _in_small_letters(self.cleaned_data["email"])
        self._refuse_taken(User.objects.with_email(email), field=_("e-mail address"))
        return email

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        return username

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "email" not in cleaned or "username" not in cleaned:
            return cleaned
        email, username = cleaned["email"], cleaned["username"]
        if username.lower() in ("", email, self.initial.get("email")):
            # the address itself, which may have letters that a chosen name may not; `save_model` fills it in
            cleaned["username"] = username = ""
        try:
            if "@" in username:
                raise forms.ValidationError(_("A username with @ can only be one's own e-mail address."))
            self._refuse_taken(User.objects.with_username(username or email), field=_("username"))
        except forms.ValidationError as error:
            self.add_error("username", error)
        return cleaned

    def _refuse_taken(self, found: QuerySet[User], *, field: Any) -> None:
        if found.exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(str(AccountExists(field=field)))


class NewUserForm(_Named, UserCreationForm):
    usable_password = None  # nobody signs in without one

    class Meta:
        model = User
        fields = ["email", "username"]


class ChangedUserForm(_Named, UserChangeForm):
    class Meta:
        model = User
        fields = ["email", "username", "password", "is_active", "is_beta_user", "is_superuser"]


class OthersPasswordForm(AdminPasswordChangeForm):
    """Sets the password by the same act as the API, so that the user's tokens and sessions die."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # somebody without a password can't sign in; for that users are made inactive
        self.fields.pop("usable_password", None)

    def save(self, commit: bool = True) -> User:
        passwords.set_new(self.user, self.cleaned_data["password1"])
        return self.user


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """The same for one's own; the session at hand goes on."""

    def save(self, commit: bool = True) -> User:
        passwords.set_new(self.user, self.cleaned_data["new_password1"])
        return self.user


class SignInForm(AuthenticationForm):
    """Signs in as the API does: by address or username, and not for ever by guessing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("E-mail address or username")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = self.cleaned_data
        if "username" in cleaned and "password" in cleaned:
            try:
                self.user_cache = recognise(cleaned["username"], cleaned["password"], request=self.request)
            except Refusal as refusal:
                raise forms.ValidationError(str(refusal))
            self.confirm_login_allowed(self.user_cache)
        return cleaned

    def confirm_login_allowed(self, user: User) -> None:
        if not user.is_staff:
            raise forms.ValidationError(_("Only those who manage a workspace may come in here."))


admin.site.login_form = SignInForm
admin.site.own_password_form = OwnPasswordForm  # type: ignore[attr-defined]  # it is our own site


class MembershipsOfUser(ReadOnly, TabularInline):
    model = Membership
    fields = readonly_fields = ["workspace", "role", "created_at"]
    show_change_link = True
    verbose_name_plural = _("memberships")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user", "workspace")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, OperatorAdmin):
    icon = "person"
    form = ChangedUserForm
    add_form = NewUserForm
    change_password_form = OthersPasswordForm
    list_display = ["email", "username", "places", "is_active", "is_beta_user", "is_superuser", "last_activity"]
    list_filter = ["is_active", "is_beta_user", "is_superuser"]
    search_fields = ["email", "username"]
    ordering = ["-id"]
    filter_horizontal = []
    readonly_fields = ["last_activity", "last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": [("email", "username"), "password"]}),
        (_("Rights"), {"fields": [("is_active", "is_beta_user"), "is_superuser"]}),
        (_("Dates"), {"fields": [("last_activity", "last_login", "date_joined")]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "username", "password1", "password2"]})]
    inlines = [MembershipsOfUser]
    actions = ["activate", "deactivate", "grant_beta", "withdraw_beta", "end_sign_ins"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("memberships__workspace")

    @display(description=_("workspaces"))
    def places(self, user: User) -> str:
        return ", ".join(f"{member.workspace} ({member.get_role_display()})" for member in user.memberships.all())

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.inlines if obj else []

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = list(super().get_readonly_fields(request, obj))
        # an operator who shuts themselves out has nobody to let them in again
        return [*fields, "is_active", "is_superuser"] if obj and obj.pk == request.user.pk else fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request) and (obj is None or obj.pk != request.user.pk)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        deleted, counts, forbidden, protected = super().get_deleted_objects(objs, request)
        # sign-ins are a ledger, but go with their user
        return deleted, counts, forbidden - {RefreshToken._meta.verbose_name}, protected

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.username = obj.username or obj.email
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        roles.delete_users([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        roles.delete_users(queryset)

    @admin.action(description=_("Make active"))
    def activate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._report(request, queryset.filter(is_active=False).update(is_active=True))

    @admin.action(description=_("Make inactive: they can't sign in"))
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._report(request, queryset.filter(is_active=True).exclude(pk=request.user.pk or 0).update(is_active=False))

    @admin.action(description=_("Make beta users"))
    def grant_beta(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._report(request, queryset.filter(is_beta_user=False).update(is_beta_user=True))

    @admin.action(description=_("Make ordinary users"))
    def withdraw_beta(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._report(request, queryset.filter(is_beta_user=True).update(is_beta_user=False))

    @admin.action(description=_("End all their sign-ins"))
    def end_sign_ins(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        families = RefreshToken.objects.filter(user__in=queryset.values("pk")).values_list("family", flat=True)
        tokens.revoke_families(families)
        self._report(request, queryset.count())

    def _report(self, request: HttpRequest, count: int) -> None:
        sentence = ngettext("{count} user changed.", "{count} users changed.", count)
        self.message_user(request, sentence.format(count=count), messages.SUCCESS if count else messages.WARNING)


# Sign-ins -----------------------------------------------------------------------------------------------------------------


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
            queryset = queryset.filter(workspace__in=request.user.administered_workspaces)  # type: ignore[union-attr]
        families = set(queryset.values_list("family", flat=True))
        tokens.revoke_families(families)
        sentence = ngettext("{count} sign-in is ended.", "{count} sign-ins are ended.", len(families))
        self.message_user(request, sentence.format(count=len(families)), messages.SUCCESS)
