"""What AI did and cost, as JSON."""

import calendar
from datetime import UTC, date, datetime
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from rest_framework import serializers

from zevix.errors import ValidationFailed

_MOST_DAYS = 366


def asked_days(query: QueryDict) -> tuple[date, date]:
    """``from`` and ``to``, this month's first and last day where they are not given. Raises ValidationFailed."""
    if unknown := set(query) - {"from", "to"}:
        raise ValidationFailed(fields={name: [_("There is no such filter.")] for name in sorted(unknown)})
    today = datetime.now(UTC).date()
    first, last = (_day(query, name) for name in ("from", "to"))
    first = first or (last or today).replace(day=1)
    last = last or first.replace(day=calendar.monthrange(first.year, first.month)[1])
    if not 0 <= (last - first).days < _MOST_DAYS:
        raise ValidationFailed(fields={"to": [_("Not before `from`, and within {days} days.").format(days=_MOST_DAYS)]})
    return first, last


def _day(query: QueryDict, name: str) -> date | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        found = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        found = date.min
    if not 2000 <= found.year <= 2999:
        raise ValidationFailed(fields={name: [_("A day, as YYYY-MM-DD.")]})
    return found


class _Figures(serializers.Serializer):
    calls = serializers.IntegerField()
    failed_calls = serializers.IntegerField(
        help_text="of these those that came to nothing; they may have cost something"
    )
    input_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField(help_text="of the tokens in those that were cheaper")
    output_tokens = serializers.IntegerField()
    cost = serializers.CharField(help_text="US dollars, exact, with six decimals")


class DaySerializer(_Figures):
    day = serializers.DateField()


class ByActionSerializer(_Figures):
    action = serializers.CharField()


class ByModelSerializer(_Figures):
    model = serializers.CharField()


class ByUserSerializer(_Figures):
    user_id = serializers.IntegerField(allow_null=True)
    email = serializers.EmailField(allow_null=True)


class BudgetSerializer(serializers.Serializer):
    """The plan's budget of this month, in US dollars."""

    month = serializers.CharField()
    amount = serializers.CharField()
    spent = serializers.CharField()
    reserved = serializers.CharField(help_text="held back for calls that are under way")
    remaining = serializers.CharField()


class AIUsageSerializer(_Figures):
    currency = serializers.CharField(help_text="`usd`")
    since: Any = serializers.DateField(help_text="`from` in the answer")
    to = serializers.DateField()
    by_day = DaySerializer(many=True)
    by_action = ByActionSerializer(many=True)
    by_model = ByModelSerializer(many=True)
    by_user = ByUserSerializer(many=True)
    budget = BudgetSerializer()

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        return {"from" if name == "since" else name: field for name, field in fields.items()}
