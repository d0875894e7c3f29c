"""What a lead of the catalogue shows before it is exported: enough to recognise it, too little to use it."""

import re
from typing import Any

DOT = "•"


def mask(lead: dict[str, Any]) -> dict[str, Any]:
    """The same flat lead with its contact data masked; notes and custom fields, which may hold some too, stay behind."""
    masked_phone = phone(lead["phone"])
    return lead | {
        "email": email(lead["email"]),
        "phone": masked_phone,
        "practice_phone": masked_phone,
        "owner_phone": phone(lead["owner_phone"]),
        "address": address(lead["address"]),
        "notes": "",
        "extra": {},
    }


def email(written: str) -> str:
    """``anna@praxis.de`` → ``a•••@p•••.de``."""
    name, at, domain = written.rpartition("@")
    if not at:
        return DOT * 3 if written else ""
    host, _dot, top = domain.rpartition(".")
    return f"{name[:1]}{DOT * 3}@{host[:1]}{DOT * 3}.{top}"


def phone(written: str) -> str:
    """Every digit after the first three becomes a dot: ``(330) •••-••••``."""
    head = re.match(r"(\D*\d){0,3}", written)
    kept = head.end() if head else 0
    return written[:kept] + re.sub(r"\w", DOT, written[kept:])


def address(written: str) -> str:
    """Nothing but that there is one."""
    return DOT * 8 if written else ""
