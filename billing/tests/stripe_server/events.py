"""What happened, newest first, as the API tells it."""

from billing.tests.stripe_server.refusals import Refused, not_modelled
from billing.tests.stripe_server.world import DAY, Object, World, in_range, page

_KEPT = 30 * DAY  # https://docs.stripe.com/api/events/list


def listed(world: World, params: Object) -> Object:
    if "delivery_success" in params:
        raise not_modelled("a filter by delivery")
    if "type" in params and "types" in params:
        raise Refused("You may only specify one of these parameters: type, types.", param="type")
    types = params.get("types") or ([params["type"]] if "type" in params else None)
    rows = [
        each
        for each in world.events
        if (types is None or each["type"] in types)
        and each["created"] > world.now - _KEPT
        and in_range(each["created"], params.get("created", each["created"]))
    ]
    return page(rows, params, "/v1/events")


def retrieve(world: World, params: Object, id: str) -> Object:
    return world.find("event", {each["id"]: each for each in world.events}, id)
