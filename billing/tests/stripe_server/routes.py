"""Which request is which act, and the package's type of its parameters."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from stripe import params
from stripe.params import billing_portal as portal_params
from stripe.params import checkout as checkout_params

from billing.tests.stripe_server import (
    catalogue,
    checkout,
    coupons,
    customers,
    dunning,
    events,
    invoices,
    portal,
    previews,
    schedules,
    subscriptions,
)
from billing.tests.stripe_server.refusals import Refused
from billing.tests.stripe_server.world import Object


class Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    params: Any
    act: Callable[..., Object]


def _route(method: str, path: str, kind: Any, act: Callable[..., Object]) -> Route:
    return Route(method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), kind, act)


_ROUTES = [
    _route("POST", "/v1/customers", params.CustomerCreateParams, customers.create),
    _route("GET", "/v1/customers", params.CustomerListParams, customers.listed),
    _route("GET", "/v1/customers/{customer}", params.CustomerRetrieveParams, customers.retrieve),
    _route("POST", "/v1/customers/{customer}", params.CustomerUpdateParams, customers.update),
    _route("DELETE", "/v1/customers/{customer}", params.CustomerDeleteParams, customers.delete),
    _route("POST", "/v1/products", params.ProductCreateParams, catalogue.create_product),
    _route("GET", "/v1/products", params.ProductListParams, catalogue.list_products),
    _route("GET", "/v1/products/{id}", params.ProductRetrieveParams, catalogue.retrieve_product),
    _route("POST", "/v1/products/{id}", params.ProductUpdateParams, catalogue.update_product),
    _route("POST", "/v1/prices", params.PriceCreateParams, catalogue.create_price),
    _route("GET", "/v1/prices", params.PriceListParams, catalogue.list_prices),
    _route("GET", "/v1/prices/{price}", params.PriceRetrieveParams, catalogue.retrieve_price),
    _route("POST", "/v1/prices/{price}", params.PriceUpdateParams, catalogue.update_price),
    _route("POST", "/v1/coupons", params.CouponCreateParams, coupons.create_coupon),
    _route("GET", "/v1/coupons", params.CouponListParams, coupons.list_coupons),
    _route("GET", "/v1/coupons/{coupon}", params.CouponRetrieveParams, coupons.retrieve_coupon),
    _route("POST", "/v1/promotion_codes", params.PromotionCodeCreateParams, coupons.create_promotion_code),
    _route("GET", "/v1/promotion_codes", params.PromotionCodeListParams, coupons.list_promotion_codes),
    _route("GET", "/v1/promotion_codes/{promotion_code}", params.PromotionCodeRetrieveParams,
           coupons.retrieve_promotion_code),
    _route("POST", "/v1/checkout/sessions", checkout_params.SessionCreateParams, checkout.create),
    _route("GET", "/v1/checkout/sessions", checkout_params.SessionListParams, checkout.listed),
    _route("GET", "/v1/checkout/sessions/{session}", checkout_params.SessionRetrieveParams, checkout.retrieve),
    _route("GET", "/v1/checkout/sessions/{session}/line_items", checkout_params.SessionListLineItemsParams,
           checkout.line_items),
    _route("POST", "/v1/checkout/sessions/{session}/expire", checkout_params.SessionExpireParams, checkout.expire),
    _route("GET", "/v1/subscriptions", params.SubscriptionListParams, subscriptions.listed),
    _route("GET", "/v1/subscriptions/{subscription}", params.SubscriptionRetrieveParams, subscriptions.retrieve),
    _route("POST", "/v1/subscriptions/{subscription}", params.SubscriptionUpdateParams, subscriptions.update),
    _route("DELETE", "/v1/subscriptions/{subscription}", params.SubscriptionCancelParams, subscriptions.cancel),
    _route("POST", "/v1/subscription_schedules", params.SubscriptionScheduleCreateParams, schedules.create),
    _route("GET", "/v1/subscription_schedules", params.SubscriptionScheduleListParams, schedules.listed),
    _route("GET", "/v1/subscription_schedules/{schedule}", params.SubscriptionScheduleRetrieveParams,
           schedules.retrieve),
    _route("POST", "/v1/subscription_schedules/{schedule}", params.SubscriptionScheduleUpdateParams, schedules.update),
    _route("POST", "/v1/subscription_schedules/{schedule}/release", params.SubscriptionScheduleReleaseParams,
           schedules.release),
    _route("POST", "/v1/subscription_schedules/{schedule}/cancel", params.SubscriptionScheduleCancelParams,
           schedules.cancel),
    _route("POST", "/v1/invoices/create_preview", params.InvoiceCreatePreviewParams, previews.preview),
    _route("GET", "/v1/invoices", params.InvoiceListParams, invoices.listed),
    _route("GET", "/v1/invoices/{invoice}", params.InvoiceRetrieveParams, invoices.retrieve),
    _route("POST", "/v1/invoices/{invoice}/pay", params.InvoicePayParams, dunning.pay),
    _route("POST", "/v1/invoices/{invoice}/void", params.InvoiceVoidInvoiceParams, invoices.void),
    _route("POST", "/v1/billing_portal/sessions", portal_params.SessionCreateParams, portal.create_session),
    _route("POST", "/v1/billing_portal/configurations", portal_params.ConfigurationCreateParams,
           portal.create_configuration),
    _route("GET", "/v1/billing_portal/configurations", portal_params.ConfigurationListParams,
           portal.list_configurations),
    _route("GET", "/v1/billing_portal/configurations/{configuration}", portal_params.ConfigurationRetrieveParams,
           portal.retrieve_configuration),
    _route("POST", "/v1/billing_portal/configurations/{configuration}", portal_params.ConfigurationUpdateParams,
           portal.update_configuration),
    _route("GET", "/v1/events", params.EventListParams, events.listed),
    _route("GET", "/v1/events/{id}", params.EventRetrieveParams, events.retrieve),
    _route("POST", "/v1/webhook_endpoints", params.WebhookEndpointCreateParams, portal.create_endpoint),
    _route("GET", "/v1/webhook_endpoints", params.WebhookEndpointListParams, portal.list_endpoints),
]  # fmt: skip


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request with the ids in its path. Raises Refused."""
    for route in _ROUTES:
        if route.method == method and (match := route.path.fullmatch(path)):
            return route, match.groupdict()
    raise Refused(f"Unrecognized request URL ({method}: {path}).", status=404, is_saved=False)
