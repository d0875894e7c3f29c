"""The customer portal's sessions and configurations, and endpoints of webhooks."""

from billing.tests.stripe_server.catalogue import merged
from billing.tests.stripe_server.refusals import Refused, not_modelled
from billing.tests.stripe_server.world import API_VERSION, Object, World, page

_FEATURES: Object = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "options": []},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "products": [],
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}


def create_configuration(world: World, params: Object) -> Object:
    id = world.new_id("bpc")
    world.portal_configurations[id] = {
        "id": id,
        "object": "billing_portal.configuration",
        "active": True,
        "application": None,
        "business_profile": {
            "headline": None,
            "privacy_policy_url": None,
            "terms_of_service_url": None,
            **(params.get("business_profile") or {}),
        },
        "created": world.now,
        "default_return_url": params.get("default_return_url") or None,
        "features": {name: {**was, **params["features"].get(name, {})} for name, was in _FEATURES.items()},
        "is_default": not world.portal_configurations,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": merged({}, params.get("metadata")),
        "name": params.get("name") or None,
        "updated": world.now,
    }
    return world.portal_configurations[id]


def update_configuration(world: World, params: Object, configuration: str) -> Object:
    found = world.find("configuration", world.portal_configurations, configuration, "configuration")
    for name, value in params.items():
        if name == "features":
            found["features"] = {each: {**was, **value.get(each, {})} for each, was in found["features"].items()}
        elif name == "metadata":
            found["metadata"] = merged(found["metadata"], value)
        elif name in ("active", "default_return_url", "name"):
            found[name] = value
        elif name == "business_profile":
            found[name].update(value)
        elif name != "expand":
            raise not_modelled(f"{name} of a configuration")
    found["updated"] = world.now
    return found


def retrieve_configuration(world: World, params: Object, configuration: str) -> Object:
    return world.find("configuration", world.portal_configurations, configuration, "configuration")


def list_configurations(world: World, params: Object) -> Object:
    rows = [
        each
        for each in world.portal_configurations.values()
        if params.get("active", each["active"]) == each["active"]
        and params.get("is_default", each["is_default"]) == each["is_default"]
    ]
    return page(rows, params, "/v1/billing_portal/configurations")


def create_session(world: World, params: Object) -> Object:
    for name in params:
        if name not in ("customer", "return_url", "configuration", "locale", "expand"):
            raise not_modelled(f"{name} of a portal session")
    customer = world.customer(params.get("customer", ""))
    configuration = params.get("configuration") or next(iter(world.portal_configurations), None)
    if configuration is None:
        raise Refused(
            "No configuration provided and your test mode default configuration has not been created. Provide a configuration or"
            " create your default by saving your customer portal settings in test mode at"
            " https://dashboard.stripe.com/test/settings/billing/portal."
        )
    retrieve_configuration(world, {}, configuration)
    id = world.new_id("bps")
    return {
        "id": id,
        "object": "billing_portal.session",
        "configuration": configuration,
        "created": world.now,
        "customer": customer["id"],
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": params.get("locale"),
        "on_behalf_of": None,
        "return_url": params.get("return_url"),
        "url": f"https://billing.stripe.com/p/session/{id}",
    }


def create_endpoint(world: World, params: Object) -> Object:
    version = params.get("api_version")
    if version not in (None, API_VERSION):
        raise Refused(f"Invalid Stripe API version: {version}", param="api_version")
    id = world.new_id("we")
    world.webhook_endpoints[id] = {
        "id": id,
        "object": "webhook_endpoint",
        "api_version": version,
        "application": None,
        "created": world.now,
        "description": params.get("description") or None,
        "enabled_events": params["enabled_events"],
        "livemode": False,
        "metadata": merged({}, params.get("metadata")),
        "status": "enabled",
        "url": params["url"],
    }
    return {**world.webhook_endpoints[id], "secret": f"whsec_{id}"}


def list_endpoints(world: World, params: Object) -> Object:
    return page(world.webhook_endpoints.values(), params, "/v1/webhook_endpoints")
