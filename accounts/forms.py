from typing import Any

from django import forms
from django.contrib.auth.forms import SetPasswordForm, SetPasswordMixin
from django.utils.translation import gettext_lazy as _

from accounts import passwords
from accounts.errors import InvalidCredentials
from accounts.models import User
from zevix.errors import Refusal


def in_small_letters(address: str) -> str:
    """Raises the form's error for one that is too long then."""
    email = address.lower()
    if len(email) > 254:  # some letters grow (İ)
        raise forms.ValidationError(_("At most {limit} characters.").format(limit=254))
    return email


class NewPasswordForm(SetPasswordForm):
    """Sets the password by the same act as the API, so that old tokens die here too."""

    def save(self, commit: bool = True) -> Any:
        passwords.set_new(self.user, self.cleaned_data["new_password1"])
        return self.user


class _Joining(forms.Form):
    """What `invitations.accept` wants to know (``wanted``), and where its refusals stand."""

    @property
    def wanted(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in ("password", "username") if name in self.cleaned_data}

    def show(self, refusal: Refusal) -> None:
        if refusal.fields is None:
            self.add_error(None, str(refusal))
        for name, sentences in (refusal.fields or {}).items():
            self.add_error(name, sentences)


class JoinForm(SetPasswordMixin, _Joining):
    """For those who have no account yet."""

    username = forms.CharField(
        label=_("Username"),
        required=False,
        max_length=150,
        validators=User._meta.get_field("username").validators,
        help_text=_("The e-mail address where none is given."),
        widget=forms.TextInput(attrs={"autocomplete": "username"}),
    )
    password, again = SetPasswordMixin.create_password_fields()

    def clean(self) -> dict[str, Any]:
        self.validate_passwords("password", "again")
        return self.cleaned_data


class KnownPasswordForm(_Joining):
    """For those who have one: the password proves that it is theirs."""

    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )

    def show(self, refusal: Refusal) -> None:
        if isinstance(refusal, InvalidCredentials):
            self.add_error("password", _("This is not your current password."))
        else:
            super().show(refusal)
