from typing import Any

from django.contrib.auth.forms import SetPasswordForm

from accounts import passwords


class NewPasswordForm(SetPasswordForm):
    """Sets the password by the same act as the API, so that old tokens die here too."""

    def save(self, commit: bool = True) -> Any:
        passwords.set_new(self.user, self.cleaned_data["new_password1"])
        return self.user
