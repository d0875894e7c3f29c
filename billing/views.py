"""Front doors: what is on offer, buying it, changing it."""

from typing import Any

from django.conf import settings
from django.db.models import Prefetch
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsAdmin
from accounts.requests import SignedInRequest
from accounts.views import OpenView
from billing.buying import changes, checkouts
from billing.models import Plan, Price, TopUpPack
from billing.serializers import (
    ChangePreviewSerializer,
    CheckoutRequest,
    LinkSerializer,
    NothingRequest,
    OrderRequest,
    PackPage,
    PlanPage,
    PortalRequest,
    SubscriptionSerializer,
    TopUpRequest,
    as_pack,
    as_plan,
    as_preview,
    as_subscription,
)
from billing.standing import standing
from billing.stripe_gateway.acting import WayBack
from billing.stripe_gateway.client import is_configured
from zevix.api.idempotency import IdempotentAbroad
from zevix.errors import NotConfigured


class Plans(OpenView):
    @extend_schema(responses=PlanPage, auth=[])
    def get(self, request: Request) -> Response:
        """The plans on offer with their prices, the smallest in front; for anyone, all at once."""
        prices = Prefetch("prices", Price.objects.filter(is_current=True).order_by("interval"))
        plans = Plan.objects.filter(is_active=True).prefetch_related(prices).order_by("monthly_leads", "pk")
        return Response(_all([as_plan(plan) for plan in plans]))


class TopUpPacks(OpenView):
    @extend_schema(responses=PackPage, auth=[])
    def get(self, request: Request) -> Response:
        """The packs of leads on offer on top of a plan, the smallest in front; for anyone, all at once."""
        packs = TopUpPack.objects.filter(is_active=True).order_by("leads", "pk")
        return Response(_all([as_pack(pack) for pack in packs]))


class SubscriptionView(APIView):
    @extend_schema(responses=SubscriptionSerializer)
    def get(self, request: SignedInRequest) -> Response:
        """The workspace's plan, and what is to come of it."""
        return _subscription(request)


class _Act(IdempotentAbroad, APIView):
    """For the workspace's admins, where billing is set up."""

    permission_classes = [IsAdmin]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not is_configured():
            raise NotConfigured(setting="STRIPE_SECRET_KEY")


class Checkout(_Act):
    @extend_schema(request=CheckoutRequest, responses=LinkSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """A page of Stripe's where the plan is paid; for admins. Pages opened before sell nothing any more. 409 where something
        was bought already: change it instead."""
        wanted = CheckoutRequest.parse(request)
        url = checkouts.buy_plan(
            request.workspace,
            plan=wanted["plan"],
            interval=wanted.get("interval"),
            seats=wanted.get("seats"),
            coupon=wanted.get("coupon", ""),
            back=_back(wanted),
            by=request.user,
            once=self.act,
        )
        return Response({"url": url})


class TopUp(_Act):
    @extend_schema(request=TopUpRequest, responses=LinkSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """A page of Stripe's where a pack of leads is paid; for admins."""
        wanted = TopUpRequest.parse(request)
        url = checkouts.buy_pack(
            request.workspace, pack=wanted["pack"], back=_back(wanted), by=request.user, once=self.act
        )
        return Response({"url": url})


class Portal(_Act):
    @extend_schema(request=PortalRequest, responses=LinkSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """Stripe's page for cards, invoices and data; for admins."""
        back = PortalRequest.parse(request).get("return_url", settings.PUBLIC_URL)
        return Response({"url": checkouts.portal(request.workspace, return_url=back, by=request.user)})


class Preview(_Act):
    @extend_schema(request=OrderRequest, responses=ChangePreviewSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """When a change would come and what it would cost; for admins. Nothing is changed."""
        return Response(as_preview(changes.preview(request.workspace, **_ordered(request))))


class Change(_Act):
    @extend_schema(request=OrderRequest, responses=SubscriptionSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """More at once, the difference paid at once (402 where the payment fails); less when the paid time is over; for admins.
        The present plan takes back what was to come."""
        changes.change(request.workspace, **_ordered(request), once=self.act)
        return _subscription(request)


class Cancel(_Act):
    @extend_schema(request=NothingRequest, responses=SubscriptionSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """End with the time that is paid for; for admins."""
        NothingRequest.parse(request)
        changes.cancel(request.workspace)
        return _subscription(request)


class Resume(_Act):
    @extend_schema(request=NothingRequest, responses=SubscriptionSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """Go on after all, while the end has not come; for admins."""
        NothingRequest.parse(request)
        changes.resume(request.workspace)
        return _subscription(request)


def _all(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"results": rows, "next": None, "previous": None}


def _subscription(request: SignedInRequest) -> Response:
    return Response(as_subscription(standing(request.workspace)))


def _ordered(request: SignedInRequest) -> dict[str, Any]:
    wanted = OrderRequest.parse(request)
    return {"plan": wanted["plan"], "interval": wanted.get("interval"), "seats": wanted.get("seats")}


def _back(wanted: dict[str, Any]) -> WayBack:
    return WayBack(
        wanted.get("success_url", settings.PUBLIC_URL + reverse("checkout-done")),
        wanted.get("cancel_url", settings.PUBLIC_URL + reverse("checkout-cancelled")),
    )
