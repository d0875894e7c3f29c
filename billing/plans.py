"""The plans, prices and packs that every installation begins with; the operator changes them in the admin."""

from typing import Any

from django.db import connections

from billing.models import FREE, Interval, Plan, Price, TopUpPack

# leads a month, seats, US cents of AI a month, US cents a month and a year; who pays by the year has two months for nothing
SEEDED: dict[str, tuple[str, int, int, int, int]] = {
    FREE: ("Free", 50, 5, 50, 0),
    "starter": ("Starter", 500, 10, 500, 2_900),
    "pro": ("Pro", 5_000, 25, 2_500, 9_900),
    "business": ("Business", 50_000, 100, 10_000, 39_900),
}
PACKS = {"leads-100": ("100 leads", 100, 900), "leads-1000": ("1,000 leads", 1_000, 6_900)}


def seed(using: str, **kwargs: Any) -> None:
    """Add the plans that are missing; run after every migration. One that is there keeps what the operator made of it."""
    tables = connections[using].introspection.table_names()
    if not {Plan._meta.db_table, TopUpPack._meta.db_table} <= set(tables):
        return  # only some other app was migrated
    for code, (name, monthly_leads, seats, ai_budget, amount) in SEEDED.items():
        defaults = {"name": name, "monthly_leads": monthly_leads, "seats": seats, "ai_budget": ai_budget}
        plan, is_new = Plan.objects.using(using).get_or_create(code=code, defaults=defaults)
        if is_new and amount:
            Price.objects.using(using).create(plan=plan, interval=Interval.MONTH, amount=amount)
            Price.objects.using(using).create(plan=plan, interval=Interval.YEAR, amount=10 * amount)
    for code, (name, leads, amount) in PACKS.items():
        TopUpPack.objects.using(using).get_or_create(
            code=code, defaults={"name": name, "leads": leads, "amount": amount}
        )
