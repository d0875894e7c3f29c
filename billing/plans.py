"""The plans that every installation begins with; the operator changes them in the admin."""

from typing import Any

from django.db import connections

from billing.models import FREE, Plan

SEEDED = {
    FREE: ("Free", 50),
    "starter": ("Starter", 500),
    "pro": ("Pro", 5_000),
    "business": ("Business", 50_000),
}


def seed(using: str, **kwargs: Any) -> None:
    """Add the plans that are missing; run after every migration. One that is there keeps what the operator made of it."""
    if Plan._meta.db_table not in connections[using].introspection.table_names():
        return  # only some other app was migrated
    for code, (name, monthly_leads) in SEEDED.items():
        Plan.objects.using(using).get_or_create(code=code, defaults={"name": name, "monthly_leads": monthly_leads})
