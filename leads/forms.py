"""A lead as a form: the rules of `leads.values`, and the notice when somebody else was faster."""

import json
from typing import Any

import orjson
from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.models import Membership, User
from leads.custom_fields import Definitions, InvalidValues
from leads.errors import ExternalIdTaken, LeadChanged
from leads.models import Lead
from leads.values import CLEANERS, IDENTIFYING, custom_fields


class Lines(forms.CharField):
    """A list of texts, one a line: names of people have commas in them."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 3})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, help_text=_("One a line."), **kwargs)

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


class JsonObject(forms.JSONField):
    """Custom fields: a JSON object that the database keeps and the API can send again."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 6})

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return {}
        try:
            found = orjson.loads(value)  # as strict as the API: no NaN, no surrogates
        except orjson.JSONDecodeError:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid", params={"value": value})
        try:
            custom_fields(found)
        except ValueError as error:
            raise forms.ValidationError(str(error))
        return found

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) else value

    def bound_data(self, data: Any, initial: Any) -> Any:
        return data  # as it was typed; Django would read it again, less strictly


class LeadForm(forms.ModelForm):
    providers = Lines()
    specialties = Lines()
    tags = Lines()
    extra = JsonObject(required=False)
    # which version the form was filled from
    seen_version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Lead
        fields = [*CLEANERS, "extra", "assigned_user", "workspace"]
        widgets = {
            name: UnfoldAdminTextareaWidget(attrs={"rows": rows})
            for name, rows in {"notes": 8, "next_action_description": 2}.items()
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.declared_fields.keys() & self.fields.keys() - {"seen_version"}:
            self.fields[name].label = capfirst(Lead._meta.get_field(name).verbose_name)  # type: ignore[union-attr]  # no relation
        if self.instance.pk:
            self.initial["seen_version"] = self.instance.version
            self._offer_members()

    def _offer_members(self) -> None:
        """Of the lead's workspace; and whoever has the lead, though they may have left."""
        if "assigned_user" in self.fields:
            members = Membership.objects.for_workspace(self.instance.workspace_id).values("user")
            offered = User.objects.filter(pk__in=members) | User.objects.filter(pk=self.instance.assigned_user_id)
            self.fields["assigned_user"].queryset = offered.order_by("email")  # type: ignore[attr-defined]  # a choice of rows

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk and cleaned.get("seen_version") not in (None, self.instance.version):
            raise forms.ValidationError(f"{LeadChanged.message} {_('Load the page again.')}")
        for name in CLEANERS.keys() & cleaned.keys():
            self._clean_by_rule(name, cleaned)
        self._clean_custom_fields(cleaned)
        if not self.errors and not any(cleaned.get(name) for name in IDENTIFYING):
            raise forms.ValidationError(_("Give at least one of: {names}.").format(names=", ".join(IDENTIFYING)))
        self._refuse_taken_id(cleaned)
        return cleaned

    def _clean_by_rule(self, name: str, cleaned: dict[str, Any]) -> None:
        if cleaned[name] in (None, "", []):
            return
        try:
            cleaned[name] = CLEANERS[name](cleaned[name])
        except ValueError as error:
            self.add_error(name, str(error))

    def _clean_custom_fields(self, cleaned: dict[str, Any]) -> None:
        workspace = self.instance.workspace_id or cleaned.get("workspace")
        if not cleaned.get("extra") or not workspace:
            return
        try:
            kept = Definitions.of(workspace).clean(cleaned["extra"])
        except InvalidValues as error:
            self.add_error("extra", [f"{key}: {sentence}" for key, sentence in error.problems.items()])
        else:
            cleaned["extra"] = {key: value for key, value in kept.items() if value is not None}

    def _refuse_taken_id(self, cleaned: dict[str, Any]) -> None:
        workspace = self.instance.workspace_id or cleaned.get("workspace")
        if not cleaned.get("external_id") or not workspace:
            return
        others = Lead.objects.for_workspace(workspace).exclude(pk=self.instance.pk)
        if others.filter(external_id=cleaned["external_id"]).exists():
            self.add_error("external_id", str(ExternalIdTaken.message))

    def written(self) -> dict[str, Any]:
        """The fields that were changed, as `leads.editing` takes them."""
        changed = [name for name in self.changed_data if name in CLEANERS or name in ("extra", "assigned_user")]
        values = {name: self.cleaned_data[name] for name in changed}
        if "extra" in values:
            # the form holds all of them: a key that it has no more is to go
            values["extra"] = dict.fromkeys(self.initial.get("extra") or {}) | values["extra"]
        if "assigned_user" in values:
            values["assigned_user_id"] = getattr(values.pop("assigned_user"), "pk", None)
        return values
