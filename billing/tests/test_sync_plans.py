"""``manage.py sync_plans``: what is for sale here is for sale in Stripe."""

import io

import pytest
from django.core.management import CommandError, call_command

from billing import catalogue
from billing.models import FREE, Interval, Plan, Price
from billing.stripe_gateway.client import client

pytestmark = pytest.mark.django_db


def sync(*arguments):
    """What it wrote, and its exit code."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        call_command("sync_plans", *arguments, stdout=out, stderr=err)
    except SystemExit as stopped:
        code = stopped.code
    return out.getvalue().splitlines(), err.getvalue().splitlines(), code


def price_of(code, interval=Interval.MONTH):
    return Price.objects.get(plan__code=code, interval=interval, is_current=True)


def writes(stripe_server):
    return [(request.method, request.path) for request in stripe_server.requests if request.method != "GET"]


def only(code):
    """Sell one plan alone."""
    Plan.objects.exclude(code__in=[code, FREE]).update(is_active=False)
    return Plan.objects.get(code=code)


@pytest.fixture
def starter(stripe_server):
    return only("starter")


def a_price_of_theirs(amount=3100, interval="month", **fields):
    product = client().v1.products.create({"name": "Made by hand"}).id
    wanted = {"product": product, "currency": "eur", "recurring": {"interval": interval}}
    return client().v1.prices.create(wanted | ({"unit_amount": amount} if amount else {}) | fields)


def test_every_plan_with_a_price_has_a_product_and_its_prices_in_stripe(stripe_server):
    lines, problems, code = sync()

    assert (problems, code) == ([], 0)
    assert lines[-1] == "3 plans: 9 changes made, 0 problems"
    products = {one["metadata"]["zevix_plan"]: one for one in stripe_server.products.values()}
    assert {plan: one["name"] for plan, one in products.items()} == {
        "starter": "Starter",
        "pro": "Pro",
        "business": "Business",
    }
    for price in Price.objects.all():
        theirs = stripe_server.prices[price.stripe_price_id]
        assert theirs["product"] == price.plan.stripe_product_id == products[price.plan.code]["id"]
        assert (theirs["unit_amount"], theirs["currency"]) == (price.amount, "usd")
        assert theirs["recurring"]["interval"] == price.interval
        assert theirs["lookup_key"] == f"zevix_{price.plan.code}_{price.interval}"


def test_the_second_time_there_is_nothing_to_do(stripe_server):
    sync()
    before = writes(stripe_server)

    lines, problems, code = sync()

    assert (lines, problems, code) == (["3 plans: 0 changes made, 0 problems"], [], 0)
    assert writes(stripe_server) == before


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(stripe_server):
    lines, problems, code = sync("--dry-run")

    assert lines[-1] == "3 plans: 9 changes would be made, 0 problems"
    assert lines[0] == "starter: product created"
    assert (problems, code) == ([], 0)
    assert writes(stripe_server) == []
    assert not Price.objects.exclude(stripe_price_id="").exists()


def test_what_is_there_is_found_again_where_our_ids_are_lost(starter, stripe_server):
    sync()
    Plan.objects.update(stripe_product_id="")
    Price.objects.update(stripe_price_id="")
    before = writes(stripe_server)

    lines, _problems, _code = sync()

    assert len(lines) == 4
    assert writes(stripe_server) == before
    assert price_of("starter").stripe_price_id in stripe_server.prices


def test_another_key_with_nothing_behind_it_gets_products_and_prices_of_its_own(starter, stripe_server):
    Plan.objects.filter(pk=starter.pk).update(stripe_product_id="prod_of_the_test_key")
    Price.objects.filter(pk=price_of("starter").pk).update(stripe_price_id="price_of_the_test_key")

    _lines, problems, code = sync()

    assert (problems, code) == ([], 0)
    assert price_of("starter").stripe_price_id in stripe_server.prices


def test_a_new_amount_is_a_new_price_that_takes_the_key_over_and_the_former_is_archived(starter, stripe_server):
    sync()
    former = price_of("starter")
    catalogue.offer(Price(plan=starter, interval=Interval.MONTH, amount=3900))

    lines, problems, code = sync()

    new = price_of("starter")
    assert (problems, code) == ([], 0)
    assert lines == [
        f"starter: price created, monthly ({new.stripe_price_id})",
        f"starter: former price archived ({former.stripe_price_id})",
        "1 plans: 2 changes made, 0 problems",
    ]
    assert stripe_server.prices[new.stripe_price_id]["lookup_key"] == "zevix_starter_month"
    assert stripe_server.prices[former.stripe_price_id]["active"] is False
    assert stripe_server.prices[new.stripe_price_id]["active"] is True
    former.refresh_from_db()
    assert (former.is_current, former.amount) == (False, 2900)


def test_the_amount_of_before_again_is_a_price_of_its_own(starter, stripe_server):
    sync()
    catalogue.offer(Price(plan=starter, interval=Interval.MONTH, amount=3900))
    catalogue.offer(Price(plan=starter, interval=Interval.MONTH, amount=2900))

    _lines, problems, code = sync()

    assert (problems, code) == ([], 0)
    ids = list(starter.prices.exclude(stripe_price_id="").values_list("stripe_price_id", flat=True))
    assert len(ids) == len(set(ids)) == 3


def test_the_product_follows_the_plans_name_and_is_on_offer(starter, stripe_server):
    sync()
    Plan.objects.filter(pk=starter.pk).update(name="Small “Größe” 小")
    starter.refresh_from_db()
    client().v1.products.update(starter.stripe_product_id, {"active": False})

    _lines, problems, _code = sync()

    assert problems == []
    product = stripe_server.products[starter.stripe_product_id]
    assert (product["name"], product["active"]) == ("Small “Größe” 小", True)


def test_a_price_that_was_archived_by_hand_is_on_offer_again(starter, stripe_server):
    sync()
    id = price_of("starter").stripe_price_id
    client().v1.prices.update(id, {"active": False})

    sync()

    assert stripe_server.prices[id]["active"] is True


def test_seats_beyond_the_plans_are_a_tier(starter, stripe_server):
    Price.objects.filter(pk=price_of("starter").pk).update(extra_seat_amount=500)

    sync()

    tiers = client().v1.prices.retrieve(price_of("starter").stripe_price_id, {"expand": ["tiers"]}).to_dict()["tiers"]
    assert [(one["up_to"], one["flat_amount"], one["unit_amount"]) for one in tiers] == [
        (10, 2900, 0),
        (None, None, 500),
    ]
    assert sync()[0] == ["1 plans: 0 changes made, 0 problems"]


def test_the_amount_of_a_price_pasted_from_stripe_is_taken_over(starter, stripe_server):
    theirs = a_price_of_theirs()
    Price.objects.filter(pk=price_of("starter").pk).update(stripe_price_id=theirs.id)

    lines, problems, code = sync()

    price = price_of("starter")
    starter.refresh_from_db()
    assert (problems, code) == ([], 0)
    assert f"starter: the amount is taken over from Stripe: 3100 eur ({theirs.id})" in lines
    assert (price.amount, price.currency, price.stripe_price_id) == (3100, "eur", theirs.id)
    assert starter.stripe_product_id == theirs.product
    assert stripe_server.products[theirs.product]["name"] == "Starter"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"interval": "year"}, "this price is charged at another interval than here"),
        ({"interval": "week"}, "no plan can have a price of this kind"),
        ({"recurring": {"interval": "month", "interval_count": 3}}, "no plan can have a price of this kind"),
        (
            {
                "amount": None,
                "billing_scheme": "tiered",
                "tiers_mode": "graduated",
                "tiers": [
                    {"up_to": 3, "flat_amount": 900, "unit_amount": 0},
                    {"up_to": "inf", "unit_amount": 100},
                ],
            },
            "3 seats are included in this price, and 10 in the plan",
        ),
    ],
)
def test_what_can_not_be_mended_is_a_problem(fields, sentence, starter, stripe_server):
    theirs = a_price_of_theirs(**fields)
    Price.objects.filter(pk=price_of("starter").pk).update(stripe_price_id=theirs.id)

    _lines, problems, code = sync()

    assert (problems, code) == ([f"starter: {sentence} ({theirs.id})"], 1)
    assert price_of("starter").amount == 2900


def test_a_plan_that_stripe_refuses_does_not_stop_the_next(stripe_server):
    Price.objects.filter(plan__code="starter").update(currency="")

    _lines, problems, code = sync()

    assert (problems, code) == (["starter: Stripe could not do this: Invalid currency: ."], 1)
    assert price_of("pro").stripe_price_id in stripe_server.prices


def test_a_stripe_that_is_down_is_said_and_asked_again_it_ends_well(starter, stripe_server):
    stripe_server.down()
    with pytest.raises(CommandError, match="Stripe can't be reached"):
        sync()
    stripe_server.up()

    assert sync()[2] == 0


def test_a_lost_answer_makes_no_twins(starter, stripe_server):
    sync("--dry-run")
    stripe_server.lose_next_answer()

    _lines, problems, code = sync()

    assert (problems, code) == ([], 0)
    assert (len(stripe_server.products), len(stripe_server.prices)) == (1, 2)


def test_without_a_key_the_setting_is_named():
    with pytest.raises(CommandError, match="STRIPE_SECRET_KEY"):
        sync()
