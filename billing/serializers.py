"""Plans, subscriptions and orders as JSON."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts import origins
from accounts.serializers import TextField
from billing.buying.changes import Preview
from billing.models import Interval, Plan, TopUpPack
from billing.standing import Standing
from zevix.api.serializers import RequestSerializer

_MOST_SEATS = 10_000


class PageField(TextField):
    """The address of a page of ours, or of one that may call the API: else anybody's link could lead from Stripe to a page of theirs."""

    default_error_messages = {
        "foreign": _("Not a page on an origin that is allowed; the operator lists those in CORS_ALLOWED_ORIGINS.")
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, max_length=2000, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        url = super().to_internal_value(data)
        if not _is_allowed(url):
            self.fail("foreign")
        return url


def _is_allowed(url: str) -> bool:
    # urlsplit overlooks line breaks, browsers read a backslash as a slash
    if not url.isprintable() or " " in url or "\\" in url:
        return False
    origin = _origin(url)
    return origin == _origin(settings.PUBLIC_URL) or origins.is_listed(origin)


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"


# Requests -------------------------------------------------------------------------------------------------------------------


class OrderRequest(RequestSerializer):
    plan = TextField(max_length=50, help_text="A plan's code.")
    interval = serializers.ChoiceField(choices=Interval.choices, required=False, allow_null=True)
    seats = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=_MOST_SEATS)


class CheckoutRequest(OrderRequest):
    coupon = TextField(required=False, allow_blank=True, max_length=100, help_text="A code that customers type.")
    success_url = PageField()
    cancel_url = PageField()


class TopUpRequest(RequestSerializer):
    pack = TextField(max_length=50, help_text="A pack's code.")
    success_url = PageField()
    cancel_url = PageField()


class PortalRequest(RequestSerializer):
    return_url = PageField()


class NothingRequest(RequestSerializer):
    pass


# Answers --------------------------------------------------------------------------------------------------------------------


class PriceSerializer(serializers.Serializer):
    interval = serializers.ChoiceField(choices=Interval.choices)
    currency = serializers.CharField()
    amount = serializers.IntegerField(help_text="In the smallest unit of the currency.")
    extra_seat_amount = serializers.IntegerField(allow_null=True, help_text="For each seat more than the plan's.")


class PlanSerializer(serializers.Serializer):
    code = serializers.CharField()
    name = serializers.CharField()
    monthly_leads = serializers.IntegerField()
    seats = serializers.IntegerField(allow_null=True, help_text="null: as many as one likes.")
    ai_budget = serializers.IntegerField(help_text="US cents a month.")
    trial_days = serializers.IntegerField()
    prices = PriceSerializer(many=True)


class PackSerializer(serializers.Serializer):
    code = serializers.CharField()
    name = serializers.CharField()
    leads = serializers.IntegerField()
    currency = serializers.CharField()
    amount = serializers.IntegerField()


class _Page(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class PlanPage(_Page):
    results = PlanSerializer(many=True)


class PackPage(_Page):
    results = PackSerializer(many=True)


class LinkSerializer(serializers.Serializer):
    url = serializers.URLField()


class SeatsSerializer(serializers.Serializer):
    included = serializers.IntegerField(allow_null=True)
    bought = serializers.IntegerField(allow_null=True, help_text="All seats, where more were bought than are included.")
    used = serializers.IntegerField()


class PendingSerializer(serializers.Serializer):
    plan = serializers.CharField()
    interval = serializers.CharField()
    at = serializers.DateTimeField()


class SubscriptionSerializer(serializers.Serializer):
    plan = serializers.CharField(help_text="The plan in force.")
    name = serializers.CharField()
    status = serializers.CharField(help_text="Stripe's word; `given` by the operator; `none`.")
    interval = serializers.ChoiceField(choices=Interval.choices, allow_null=True)
    seats = SeatsSerializer()
    period_end = serializers.DateTimeField(allow_null=True)
    trial_end = serializers.DateTimeField(allow_null=True)
    cancel_at = serializers.DateTimeField(allow_null=True)
    pending = PendingSerializer(allow_null=True)
    overdue_since = serializers.DateTimeField(allow_null=True)
    grace_until = serializers.DateTimeField(allow_null=True, help_text="Until when an unpaid plan is kept.")
    billing = serializers.ChoiceField(choices=["stripe", "off"])


class LineSerializer(serializers.Serializer):
    description = serializers.CharField()
    amount = serializers.IntegerField()


class ChangePreviewSerializer(serializers.Serializer):
    when = serializers.ChoiceField(choices=["now", "period_end"])
    at = serializers.DateTimeField(allow_null=True)
    amount_due = serializers.IntegerField(help_text="Paid when the change comes, in the smallest unit of the currency.")
    currency = serializers.CharField()
    lines = LineSerializer(many=True)
    next_amount = serializers.IntegerField(help_text="For each whole period from then on.")


def as_plan(plan: Plan) -> dict[str, Any]:
    """``plan.prices`` are those on offer."""
    prices = [
        {name: getattr(price, name) for name in ("interval", "currency", "amount", "extra_seat_amount")}
        for price in plan.prices.all()
    ]
    shown = ("code", "name", "monthly_leads", "seats", "ai_budget", "trial_days")
    return {name: getattr(plan, name) for name in shown} | {"prices": prices}


def as_pack(pack: TopUpPack) -> dict[str, Any]:
    return {name: getattr(pack, name) for name in ("code", "name", "leads", "currency", "amount")}


def as_subscription(standing: Standing) -> dict[str, Any]:
    row, plan = standing.subscription, standing.plan
    bought = None if standing.seats_limit == plan.seats else standing.seats_limit
    pending = row and row.pending_plan and {
        "plan": row.pending_plan.code, "interval": row.pending_interval, "at": row.pending_at,
    }  # fmt: skip
    return {
        "plan": plan.code,
        "name": plan.name,
        "status": standing.status,
        "interval": (row and row.interval) or None,
        "seats": {"included": plan.seats, "bought": bought, "used": standing.seats_used},
        **{name: getattr(row, name, None) for name in ("period_end", "trial_end", "cancel_at")},
        "pending": pending,
        "overdue_since": row and row.overdue_since,
        "grace_until": standing.grace_until,
        "billing": standing.billing,
    }


def as_preview(preview: Preview) -> dict[str, Any]:
    return {
        "when": "now" if preview.is_now else "period_end",
        "at": preview.at,
        "amount_due": preview.amount_due,
        "currency": preview.currency,
        "lines": [{"description": line.description, "amount": line.amount} for line in preview.lines],
        "next_amount": preview.next_amount,
    }
