"""What is on offer, for anyone to read."""

import pytest

from billing import catalogue
from billing.models import Interval, Plan, Price, TopUpPack

pytestmark = pytest.mark.django_db


def test_anyone_reads_the_plans_with_their_prices_also_without_stripe(anonymous):
    answer = anonymous.get("/api/v1/plans")

    body = answer.json()
    assert answer.status_code == 200
    assert (body["next"], body["previous"]) == (None, None)
    assert [plan["code"] for plan in body["results"]] == ["free", "starter", "pro", "business"]
    assert body["results"][0]["prices"] == []
    assert body["results"][1] == {
        "code": "starter",
        "name": "Starter",
        "monthly_leads": 500,
        "seats": 10,
        "ai_budget": 500,
        "trial_days": 0,
        "prices": [
            {"interval": "month", "currency": "usd", "amount": 2900, "extra_seat_amount": None},
            {"interval": "year", "currency": "usd", "amount": 29000, "extra_seat_amount": None},
        ],
    }


def test_only_what_is_on_offer_is_shown(anonymous):
    Plan.objects.filter(code="pro").update(is_active=False)
    starter = Plan.objects.get(code="starter")
    catalogue.offer(Price(plan=starter, interval=Interval.MONTH, amount=1))

    plans = {plan["code"]: plan for plan in anonymous.get("/api/v1/plans").json()["results"]}

    assert "pro" not in plans
    assert [price["amount"] for price in plans["starter"]["prices"]] == [1, 29000]


def test_anyone_reads_the_packs_on_offer(anonymous):
    TopUpPack.objects.filter(code="leads-1000").update(is_active=False)

    body = anonymous.get("/api/v1/top-up-packs").json()

    assert body["results"] == [
        {"code": "leads-100", "name": "100 leads", "leads": 100, "currency": "usd", "amount": 900}
    ]


@pytest.mark.parametrize(("path", "cost"), [("/api/v1/plans", 2), ("/api/v1/top-up-packs", 1)])
def test_a_list_costs_the_same_with_one_row_and_with_three(path, cost, anonymous, django_assert_num_queries):
    Plan.objects.exclude(code="starter").delete()
    TopUpPack.objects.exclude(code="leads-100").delete()
    for number in (1, 3):
        for extra in range(1, number):
            plan = Plan.objects.create(code=f"plan-{extra}", name="Tailored", monthly_leads=extra)
            Price.objects.create(plan=plan, amount=extra)
            TopUpPack.objects.create(code=f"pack-{extra}", name="Tailored", leads=extra, amount=1)

        with django_assert_num_queries(cost):
            rows = anonymous.get(path).json()["results"]
        assert len(rows) == number


def test_a_new_price_takes_the_place_of_the_former_which_keeps_what_it_says():
    starter = Plan.objects.get(code="starter")
    former = starter.prices.get(interval=Interval.MONTH)

    new = catalogue.offer(Price(plan=starter, interval=Interval.MONTH, amount=3900))

    former.refresh_from_db()
    assert (former.is_current, former.amount) == (False, 2900)
    assert list(Price.objects.on_offer().filter(plan=starter, interval=Interval.MONTH)) == [new]
    assert starter.prices.get(interval=Interval.YEAR).is_current
