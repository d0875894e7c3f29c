"""The phases of a schedule, as they are asked for and as they are kept."""

from billing.tests.stripe_server import proration
from billing.tests.stripe_server.money import period_end
from billing.tests.stripe_server.refusals import Refused, lacks, missing, not_modelled
from billing.tests.stripe_server.world import Object, World

_PHASE = {"items", "start_date", "end_date", "duration", "proration_behavior", "metadata", "trial_end", "discounts"}


def phase(
    items: list[Object],
    start: int,
    end: int,
    *,
    currency: str,
    discounts: list[str],
    trial_end: int | None = None,
    behaviour: str = "create_prorations",
) -> Object:
    return {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "billing_cycle_anchor": None,
        "billing_thresholds": None,
        "collection_method": None,
        "currency": currency,
        "default_payment_method": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [{"coupon": None, "discount": id, "promotion_code": None} for id in discounts],
        "end_date": end,
        "invoice_settings": None,
        "items": [
            {
                "billing_thresholds": None,
                "discounts": [],
                "metadata": {},
                "plan": each["price"],
                "price": each["price"],
                "quantity": each.get("quantity", 1),
                "tax_rates": [],
            }
            for each in items
        ],
        "metadata": {},
        "on_behalf_of": None,
        "proration_behavior": behaviour,
        "start_date": start,
        "transfer_data": None,
        "trial_end": trial_end,
    }


def parsed(world: World, schedule: Object, wanted: list[Object]) -> list[Object]:
    """The phases that follow one another without a gap; the current one must be among them."""
    subscription = world.subscriptions[schedule["subscription"]]
    phases: list[Object] = []
    for n, each in enumerate(wanted):
        param = f"phases[{n}]"
        for name in each:
            if name not in _PHASE:
                raise not_modelled(f"{param}[{name}]")
        start = _start(world, schedule, phases, each, param)
        recurring = _recurring(world, subscription, each, param)
        end = _end(world, start, each, recurring, param, is_last=n == len(wanted) - 1)
        phases.append(
            phase(
                each["items"],
                start,
                end,
                currency=subscription["currency"],
                discounts=_discounts(world, each, param),
                trial_end=_trial_end(subscription, each, n, param),
                behaviour=each.get("proration_behavior", "create_prorations"),
            )
        )
    current = schedule["current_phase"]
    if not phases or phases[0]["start_date"] != current["start_date"]:
        raise Refused("You can not modify the start date of the current phase.", param="phases[0][start_date]")
    return phases


def _discounts(world: World, wanted: Object, param: str) -> list[str]:
    """Ids of discounts that there are already: a phase has those that it names, and no others."""
    found = []
    for n, each in enumerate(wanted.get("discounts") or []):
        if set(each) != {"discount"}:
            raise not_modelled(f"{param}[discounts][{n}] by other than the id of a discount")
        if each["discount"] not in world.discounts:
            raise missing("discount", each["discount"], f"{param}[discounts][{n}][discount]")
        found.append(each["discount"])
    return found


def _trial_end(subscription: Object, wanted: Object, n: int, param: str) -> int | None:
    """A trial that the present phase does not name would be over at once."""
    present = subscription["trial_end"] if n == 0 and subscription["status"] == "trialing" else None
    if wanted.get("trial_end") != present:
        raise not_modelled(f"{param}[trial_end] other than the subscription's own ({present})")
    return present


def _recurring(world: World, subscription: Object, wanted: Object, param: str) -> Object:
    if not wanted["items"]:
        raise lacks(f"{param}[items]")
    for n, item in enumerate(wanted["items"]):
        for name in item:
            if name not in ("price", "quantity"):
                raise not_modelled(f"{param}[items][{n}][{name}]")
        if "price" not in item:
            raise lacks(f"{param}[items][{n}][price]")
        priced = _phase_price(world, subscription, item["price"], f"{param}[items][{n}][price]")
    return priced["recurring"]


def _phase_price(world: World, subscription: Object, price: str, param: str) -> Object:
    """An archived price stays where it is used already."""
    if any(price == item["price"]["id"] for item in subscription["items"]["data"]):
        return world.price(price, param)
    return proration.priced(world, price, subscription["currency"], param)["price"]


def _start(world: World, schedule: Object, phases: list[Object], wanted: Object, param: str) -> int:
    given = wanted.get("start_date")
    if given == "now":
        given = world.now
    if phases:
        if given not in (None, phases[-1]["end_date"]):
            raise Refused("Phases must follow one another without a gap.", param=f"{param}[start_date]")
        return phases[-1]["end_date"]
    if given is None:
        told = (
            "The subscription schedule update is missing at least one phase with a `start_date` to anchor end dates to."
        )
        raise Refused(told, param="phases")
    return given


def _end(world: World, start: int, wanted: Object, recurring: Object, param: str, *, is_last: bool) -> int:
    if "end_date" in wanted and "duration" in wanted:
        raise Refused(f"You may only specify one of {param}[end_date], {param}[duration].", param=f"{param}[end_date]")
    if wanted.get("end_date") == "now":
        return world.now
    if "end_date" in wanted:
        if wanted["end_date"] <= start:
            raise Refused("The phase's end must be after its start.", param=f"{param}[end_date]")
        return wanted["end_date"]
    if "duration" in wanted:
        length = {
            "interval": wanted["duration"]["interval"],
            "interval_count": wanted["duration"].get("interval_count", 1),
        }
        return period_end(start, start, length)
    if not is_last:
        raise lacks(f"{param}[end_date]")
    return period_end(start, start, recurring)
