"""What a customer does on the page of Checkout, and a bank after that."""

from billing.tests.stripe_server import checkout, customers, discounts, invoices, proration, subscriptions
from billing.tests.stripe_server.catalogue import merged
from billing.tests.stripe_server.refusals import Refused
from billing.tests.stripe_server.world import Object, World


def complete(world: World, session: str, payment: str, promotion_code: str | None) -> Object:
    """What the customer does on the page. Raises Refused for a session that is not open."""
    found = checkout.find(world, session)
    if found["status"] != "open":
        raise Refused(f"The session is {found['status']}.")
    asked = world.asked[session]
    if promotion_code is not None:
        _enter_code(world, found, asked, promotion_code)
    if payment == "declined":
        return found  # the page says so, and stays open
    customer = _customer(world, found)
    if found["amount_total"] or found["payment_method_collection"] == "always":
        world.cards[customer] = world.new_id("pm")
        world.declining.discard(customer)  # the card on the page is a good one
    if found["mode"] == "subscription":
        _subscribe(world, found, asked, customer)
    else:
        _pay_once(world, found, asked, customer, is_delayed=payment == "delayed")
    found.update(status="complete", url=None)
    world.emit("checkout.session.completed", found)
    return found


def _enter_code(world: World, session: Object, asked: Object, code: str) -> None:
    if not session["allow_promotion_codes"]:
        raise Refused("The page has no field for promotion codes.")
    owner = next((each for each in world.promotion_codes.values() if each["code"].lower() == code.lower()), None)
    asked["sources"] = discounts.checked(world, [{"promotion_code": owner["id"] if owner else code}])
    session["discounts"] = [{"coupon": None, "promotion_code": asked["sources"][0][1]}]
    checkout.count(world, session)


def _customer(world: World, session: Object) -> str:
    if session["customer"] is None:
        email = session["customer_email"] or "somebody@example.com"
        session["customer"] = customers.create(world, {"email": email})["id"]
    customer = world.customer(session["customer"])
    session["customer_details"] = {
        "address": None,
        "business_name": None,
        "email": customer["email"],
        "individual_name": None,
        "name": customer["name"],
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    return customer["id"]


def _subscribe(world: World, session: Object, asked: Object, customer: str) -> None:
    data = asked.get("subscription_data", {})
    for row in asked["line_items"]:
        proration.priced(world, row["price"], session["currency"], "line_items")
    subscription = subscriptions.begin(
        world,
        customer,
        [(row["price"], row["quantity"]) for row in asked["line_items"]],
        metadata=merged({}, data.get("metadata")),
        trial_end=checkout.trial_end(world, asked),
        discount_ids=discounts.give(world, asked["sources"], customer=customer, session=session["id"]),
        trial_settings=data.get("trial_settings"),
    )
    session.update(
        subscription=subscription["id"],
        invoice=subscription["latest_invoice"],
        payment_status="paid" if session["amount_total"] else "no_payment_required",
    )


def _pay_once(world: World, session: Object, asked: Object, customer: str, *, is_delayed: bool) -> None:
    if not session["amount_total"]:
        session["payment_status"] = "no_payment_required"
        return
    data = asked.get("payment_intent_data", {})
    found = invoices.intent(
        world, customer, session["amount_total"], session["currency"], merged({}, data.get("metadata"))
    )
    session.update(payment_intent=found["id"], payment_status="unpaid" if is_delayed else "paid")
    if not is_delayed:
        _received(world, found)


def _received(world: World, intent: Object) -> None:
    intent.update(status="succeeded", amount_received=intent["amount"])
    world.emit("payment_intent.succeeded", intent)


def settle(world: World, session: str, *, succeeds: bool) -> Object:
    """A bank debit arrives, or comes back, days after its session was completed."""
    found = checkout.find(world, session)
    if found["status"] != "complete" or found["payment_status"] != "unpaid":
        raise Refused("Nothing of this session is under way.")
    if succeeds:
        found["payment_status"] = "paid"
        _received(world, world.payment_intents[found["payment_intent"]])
    world.emit(f"checkout.session.async_payment_{'succeeded' if succeeds else 'failed'}", found)
    return found
