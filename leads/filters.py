"""The filters of lead lists, declared once for the workspace's own leads and the catalogue."""

from typing import Any

import django_filters
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from leads.models import EmailStatus, Lead, LeadQuerySet, LeadStatus
from zevix.errors import ValidationFailed

ORDERINGS = (
    "id",
    "created_at",
    "updated_at",
    "name",
    "company",
    "city",
    "state",
    "status",
    "score",
    "next_action_at",
    "last_contact",
)
_PAGING = {"limit", "cursor", "count", "ordering"}
NEWEST_FIRST = ["-id"]


class LeadFilters(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=LeadStatus.choices)
    assigned_to = django_filters.CharFilter(method="by_assignee", help_text="A user's id, `me` or `none`")
    city = django_filters.CharFilter(lookup_expr="iexact")
    state = django_filters.CharFilter(lookup_expr="iexact")
    zip_code = django_filters.CharFilter(lookup_expr="startswith")
    tag = django_filters.CharFilter(field_name="tags", lookup_expr="contains", method="by_tag")
    source = django_filters.CharFilter()
    email_status = django_filters.ChoiceFilter(choices=EmailStatus.choices)
    needs_action = django_filters.TypedChoiceFilter(
        choices=[("true", _("Yes")), ("false", _("No"))], coerce=lambda text: text == "true"
    )
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gt")
    created_before = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")
    import_batch = django_filters.NumberFilter(min_value=1, max_value=2**63 - 1)
    search = django_filters.CharFilter(method="by_words", help_text="Words, each as the beginning of one")

    masked = False

    class Meta:
        model = Lead
        fields: list[str] = []

    def by_assignee(self, leads: LeadQuerySet, name: str, value: str) -> LeadQuerySet:
        if value == "none":
            return leads.filter(assigned_user=None)
        if value == "me":
            return leads.filter(assigned_user=self.request.user)
        if not (value.isascii() and value.isdigit() and len(value) < 19):
            raise ValidationFailed(fields={"assigned_to": [_("A user's id, `me` or `none`.")]})
        return leads.filter(assigned_user=int(value))

    def by_tag(self, leads: LeadQuerySet, name: str, value: str) -> LeadQuerySet:
        return leads.filter(tags__contains=[value])

    def by_words(self, leads: LeadQuerySet, name: str, value: str) -> LeadQuerySet:
        return leads.search(value, masked=self.masked)


class CatalogueFilters(LeadFilters):
    """The same, as far as masked fields do not give themselves away."""

    masked = True


def narrow(leads: LeadQuerySet, request: Request, filters: type[LeadFilters] = LeadFilters) -> Any:
    """The leads that the query asks for. Raises ValidationFailed for a value that is none, or a filter that there is not."""
    asked = request.query_params.keys() - _PAGING
    if not asked:
        return leads
    unknown = asked - filters.base_filters.keys()
    if unknown:
        raise ValidationFailed(fields={name: [_("There is no such filter.")] for name in sorted(unknown)})
    chosen = filters(request.query_params, queryset=leads, request=request)
    if not chosen.is_valid():
        raise ValidationFailed(fields={name: list(said) for name, said in chosen.errors.items()})
    return chosen.qs


def ordering(request: Request) -> list[str]:
    """The order asked for, made total by the id; newest first by default."""
    asked = request.query_params.get("ordering")
    if not asked:
        return NEWEST_FIRST
    if asked.removeprefix("-") not in ORDERINGS:
        raise ValidationFailed(fields={"ordering": [_("One of {names}.").format(names=", ".join(ORDERINGS))]})
    if asked.removeprefix("-") == "id":
        return [asked]
    return [asked, "-id" if asked.startswith("-") else "id"]
