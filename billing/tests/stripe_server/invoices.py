"""Invoices: drawn up, final at once, tried, tried again, paid or left."""

import copy
from typing import Any

from billing.tests.stripe_server import discounts
from billing.tests.stripe_server.refusals import Refused, not_modelled
from billing.tests.stripe_server.world import DAY, Object, World, in_range, page


def line(
    world: World, item: Object, *, amount: int, period: tuple[int, int], description: str, is_proration: bool = False
) -> Object:
    """One position of an invoice. Its id is given once the invoice is kept."""
    price, quantity = item["price"], item.get("quantity", 1)
    return {
        "id": "il_tmp",
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": amount >= 0,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": is_proration,
                "proration_details": {"credited_items": None} if is_proration else None,
                "subscription": item["subscription"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subtotal": amount,
        "taxes": [],
    }


def drawn_up(
    world: World,
    subscription: Object,
    lines: list[Object],
    *,
    reason: str,
    is_new_period: bool,
    at: int | None = None,
) -> Object:
    """The invoice that these lines would make, not kept yet."""
    customer = world.customers[subscription["customer"]]
    lines = copy.deepcopy(lines)
    valid = discounts.lasting(world, subscription["discounts"], was_used=False)
    off = discounts.taken_off(world, lines, valid, is_new_period=is_new_period)
    subtotal = sum(each["amount"] for each in lines)
    total = subtotal - sum(each["amount"] for each in off)
    due = max(0, total + customer["balance"])
    starts = [each["period"]["start"] for each in lines] or [world.now]
    ends = [each["period"]["end"] for each in lines] or [world.now]
    moment = world.now if at is None else at
    return {
        "id": "upcoming_in_tmp",
        "object": "invoice",
        "account_country": "US",
        "account_name": "Zevix",
        "account_tax_ids": None,
        "amount_due": due,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": due,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {
            "disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": moment,
        "currency": subscription["currency"],
        "custom_fields": None,
        "customer": customer["id"],
        "customer_address": None,
        "customer_email": customer.get("email"),
        "customer_name": customer.get("name"),
        "customer_phone": customer.get("phone"),
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": valid,
        "due_date": None,
        "effective_at": None,
        "ending_balance": customer["balance"] + total - due,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": {"object": "list", "data": lines, "has_more": False, "url": "/v1/invoices/upcoming/lines"},
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": subscription["metadata"], "subscription": subscription["id"]},
            "type": "subscription_details",
        },
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": max(ends) if is_new_period else moment,
        "period_start": min(starts) if is_new_period else moment,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": customer["balance"],
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None,
        },
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "test_clock": None,
        "total": total,
        "total_discount_amounts": off,
        "total_excluding_tax": total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
    }  # fmt: skip


def keep(world: World, subscription: Object, invoice: Object) -> Object:
    """Give the drawn-up invoice its id; what it bills for a whole period is remembered, for later credits."""
    id = world.new_id("in")
    invoice.update(id=id)
    invoice["lines"]["url"] = f"/v1/invoices/{id}/lines"
    for each in invoice["lines"]["data"]:
        each.update(id=world.new_id("il"), invoice=id)
        details = each["parent"]["subscription_item_details"]
        if not details["proration"]:
            off = sum(one["amount"] for one in each["discount_amounts"])
            world.billed[details["subscription_item"]] = each["amount"] - off
    used = bool(invoice["total_discount_amounts"])
    subscription["discounts"] = discounts.lasting(world, subscription["discounts"], was_used=used)
    subscription["latest_invoice"] = id
    world.invoices[id] = invoice
    world.emit("invoice.created", invoice)
    return invoice


def finalize(world: World, invoice: Object) -> None:
    customer = world.customers[invoice["customer"]]
    customer["balance"] = invoice["ending_balance"]
    number = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] = number + 1
    invoice.update(
        status="open",
        number=f"{customer['invoice_prefix']}-{number:04d}",
        effective_at=world.now,
        hosted_invoice_url=f"https://invoice.stripe.com/i/{invoice['id']}",
        invoice_pdf=f"https://pay.stripe.com/invoice/{invoice['id']}/pdf",
        auto_advance=False,
    )
    invoice["status_transitions"]["finalized_at"] = world.now
    world.emit("invoice.finalized", invoice)


def can_be_paid(world: World, customer: str, amount: int) -> bool:
    return amount == 0 or (customer in world.cards and customer not in world.declining)


def attempt(world: World, invoice: Object) -> bool:
    """Try to collect a final invoice; whether it is paid now."""
    invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + (invoice["amount_due"] > 0))
    if not can_be_paid(world, invoice["customer"], invoice["amount_remaining"]):
        world.emit("invoice.payment_failed", invoice)
        return False
    if invoice["amount_due"]:
        _paid_by_card(world, invoice)
    invoice.update(status="paid", amount_paid=invoice["amount_due"], amount_remaining=0, next_payment_attempt=None)
    invoice["status_transitions"]["paid_at"] = world.now
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)
    return True


def _paid_by_card(world: World, invoice: Object) -> None:
    world.includable[invoice["id"], "payments"] = {
        "object": "list",
        "data": [
            {
                "id": world.new_id("inpay"),
                "object": "invoice_payment",
                "amount_paid": invoice["amount_due"],
                "amount_requested": invoice["amount_due"],
                "created": world.now,
                "currency": invoice["currency"],
                "invoice": invoice["id"],
                "is_default": True,
                "livemode": False,
                "payment": {"type": "payment_intent", "payment_intent": world.new_id("pi")},
                "status": "paid",
                "status_transitions": {"canceled_at": None, "paid_at": world.now},
            }
        ],
        "has_more": False,
        "url": "/v1/invoice_payments",
    }


def plan_next_attempt(world: World, invoice: Object) -> bool:
    """When it is tried again; False after the last time."""
    tries = invoice["attempt_count"]
    is_left = tries <= len(world.retry_days)
    invoice["next_payment_attempt"] = world.now + world.retry_days[tries - 1] * DAY if is_left else None
    world.emit("invoice.updated", invoice)
    return is_left


def subscription_of(invoice: Object) -> str:
    return invoice["parent"]["subscription_details"]["subscription"]


def retrieve(world: World, params: Object, invoice: str) -> Object:
    return world.find("invoice", world.invoices, invoice, "invoice")


def listed(world: World, params: Object) -> Object:
    if "due_date" in params or "collection_method" in params:
        raise not_modelled("this filter of invoices")
    if "customer" in params:
        world.customer(params["customer"])
    rows = [
        each
        for each in world.invoices.values()
        if params.get("customer", each["customer"]) == each["customer"]
        and params.get("status", each["status"]) == each["status"]
        and params.get("subscription", subscription_of(each)) == subscription_of(each)
        and in_range(each["created"], params.get("created", each["created"]))
    ]
    return page(rows, params, "/v1/invoices")


def void(world: World, params: Object, invoice: str) -> Object:
    found = retrieve(world, {}, invoice)
    if found["status"] != "open":
        raise Refused(f"You can only pass in open invoices. This invoice isn't open: {found['status']}.")
    found.update(status="void", next_payment_attempt=None)
    found["status_transitions"]["voided_at"] = world.now
    world.emit("invoice.voided", found)
    return found


def intent(world: World, customer: str | None, amount: int, currency: str, metadata: dict[str, Any]) -> Object:
    """A one-time payment as far as a Checkout session names it."""
    id = world.new_id("pi")
    world.payment_intents[id] = {
        "id": id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "created": world.now,
        "currency": currency,
        "customer": customer,
        "livemode": False,
        "metadata": metadata,
        "status": "requires_payment_method",
        "capture_method": "automatic",
        "confirmation_method": "automatic",
        "payment_method_types": ["card"],
    }
    return world.payment_intents[id]
