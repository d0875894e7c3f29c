"""Users, and how one signs in to the admin."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.forms import (
    AdminOwnPasswordChangeForm,
    AdminPasswordChangeForm,
    AuthenticationForm,
    UserChangeForm,
    UserCreationForm,
)

from accounts import passwords, roles, tokens
from accounts.errors import AccountExists
from accounts.forms import in_small_letters
from accounts.models import Membership, RefreshToken, User
from accounts.sign_in import recognise
from zevix.admin_site import OperatorAdmin, ReadOnly, is_operator
from zevix.errors import Refusal


class _Named(forms.ModelForm):
    """E-mail address and username as registering has them: in small letters, and nobody else's."""

    def clean_email(self) -> str:
        email = in_small_letters(self.cleaned_data["email"])
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
