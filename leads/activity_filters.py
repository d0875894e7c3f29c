"""The filters of activities."""

import django_filters
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from leads.models import Activity, ActivityQuerySet
from zevix.errors import ValidationFailed

NEWEST_FIRST, SOONEST_FIRST = ["-id"], ["due_at", "id"]


class ActivityFilters(django_filters.FilterSet):
    type = django_filters.ChoiceFilter(choices=Activity.Type.choices)
    user = django_filters.CharFilter(method="by_user", help_text="A user's id, or `me`")
    open = django_filters.TypedChoiceFilter(
        choices=[("true", _("Yes")), ("false", _("No"))],
        coerce=lambda text: text == "true",
        method="by_state",
        help_text="`true`: tasks to be done; `false`: tasks that are done",
    )
    due_before = django_filters.IsoDateTimeFilter(field_name="due_at", lookup_expr="lt")
    due_after = django_filters.IsoDateTimeFilter(field_name="due_at", lookup_expr="gt")
    lead = django_filters.NumberFilter(min_value=1, max_value=2**63 - 1)

    class Meta:
        model = Activity
        fields: list[str] = []

    def by_user(self, activities: ActivityQuerySet, name: str, value: str) -> ActivityQuerySet:
        if value == "me":
            return activities.filter(user=self.request.user)
        if not (value.isascii() and value.isdigit() and len(value) < 19):
            raise ValidationFailed(fields={"user": [_("A user's id, or `me`.")]})
        return activities.filter(user=int(value))

    def by_state(self, activities: ActivityQuerySet, name: str, value: bool) -> ActivityQuerySet:
        if value:
            return activities.open()
        return activities.filter(type=Activity.Type.TASK, done_at__isnull=False)


def ordering(request: Request) -> list[str]:
    """Newest first; open tasks also by when they are due, which is the order that has an index for them alone."""
    asked = request.query_params.get("ordering")
    if not asked or asked == "-id":
        return NEWEST_FIRST
    if asked != "due_at":
        raise ValidationFailed(fields={"ordering": [_("One of {names}.").format(names="-id, due_at")]})
    if request.query_params.get("open") != "true":
        raise ValidationFailed(fields={"ordering": [_("Only open tasks have this order: add `open=true`.")]})
    return SOONEST_FIRST
