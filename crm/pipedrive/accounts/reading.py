"""Reading what an account has: what of Pipedrive's answers is understood, in a form that the database can keep."""

from collections.abc import Iterable
from typing import Any

from crm.pipedrive.accounts.tokens import company_domain
from crm.pipedrive.client import Entity, Pipedrive
from crm.pipedrive.mapping.setup import ENTITIES
from crm.pipedrive.mapping.values import one_line
from zevix.errors import Unreachable

_BIGGEST = 2**63
# fields that every account has, however they are listed
_CORE = {
    "person": (("name", "Name", "varchar"), ("email", "Email", "varchar"), ("phone", "Phone", "phone"), ("owner_id", "Owner", "user")),
    "organization": (("name", "Name", "varchar"),),
    "deal": (("stage_id", "Stage", "stage"),),
}  # fmt: skip
_ALSO_CALLED = {
    ("person", "emails"): "email",
    ("person", "phones"): "phone",
    ("deal", "stage"): "stage_id",
}


def who(pipedrive: Pipedrive) -> dict[str, Any]:
    """Whose token it is, by the names of a connection's columns, and ``name`` and ``domain``. Raises Unreachable, Rejected."""
    me = pipedrive.me()
    user_id, company_id = _number(me.get("id")), _number(me.get("company_id"))
    if user_id is None or company_id is None:
        raise Unreachable(vendor="Pipedrive", reason="no user", kind="unexpected_answer")
    return {
        "user_id": user_id,
        "company_id": company_id,
        "company_name": one_line(me.get("company_name"), 200),
        "currency": one_line(me.get("default_currency"), 3).upper(),
        "name": one_line(me.get("name") or me.get("email"), 200),
        "domain": _domain(me.get("company_domain")),
    }


def _domain(told: Any) -> str:
    """It becomes a part of the address that the token is sent to: what is no domain is left out."""
    try:
        return company_domain(one_line(told, 100))
    except ValueError:
        return ""


def setup(pipedrive: Pipedrive) -> dict[str, Any]:
    """Fields, pipelines, stages and users, as a connection keeps them (`mapping.Setup.of`). Raises Unreachable, Rejected."""
    return {
        "fields": [field for entity in ENTITIES for field in _fields(entity, pipedrive.fields(entity))],
        "pipelines": [
            {"id": row["id"], "name": one_line(row.get("name"), 200)} for row in _in_order(pipedrive.pipelines())
        ],
        "stages": [
            {"id": row["id"], "name": one_line(row.get("name"), 200), "pipeline_id": pipeline_id}
            for row in _in_order(pipedrive.stages())
            if (pipeline_id := _number(row.get("pipeline_id"))) is not None
        ],
        "users": [
            {"id": row["id"], "email": address}
            for row in _alive(pipedrive.users())
            if (address := one_line(row.get("email"), 254).lower()) and row.get("active_flag") is not False
        ],
    }


def _fields(entity: Entity, rows: Iterable[Any]) -> list[dict[str, Any]]:
    found = {row["key"]: row for item in rows if isinstance(item, dict) and (row := _field(entity, item))}
    for key, name, kind in _CORE[entity]:
        listed = found.get(key, {"entity": entity, "key": key, "name": name, "is_custom": False, "options": {}})
        found[key] = listed | {"kind": kind}
    return list(found.values())


def _field(entity: str, row: dict[str, Any]) -> dict[str, Any] | None:
    key = one_line(row.get("field_code"), 100)
    if not key:
        return None
    return {
        "entity": entity,
        "key": _ALSO_CALLED.get((entity, key), key),
        "name": one_line(row.get("field_name"), 255) or key,
        "kind": one_line(row.get("field_type"), 50),
        "is_custom": row.get("is_custom_field") is True,
        "options": _options(row.get("options")),
    }


def _options(rows: Any) -> dict[str, str]:
    """Of a choice: id → label. Fields that every account has may name theirs by words; those can't be chosen by number."""
    listed = rows if isinstance(rows, list) else []
    return {
        str(row["id"]): one_line(row.get("label"), 255)
        for row in listed
        if isinstance(row, dict) and _number(row.get("id")) is not None and one_line(row.get("label"), 255)
    }


def _alive(rows: Iterable[Any]) -> list[dict[str, Any]]:
    return [
        row
        for row in rows
        if isinstance(row, dict) and _number(row.get("id")) is not None and not row.get("is_deleted")
    ]


def _in_order(rows: Iterable[Any]) -> list[dict[str, Any]]:
    return sorted(_alive(rows), key=lambda row: (_number(row.get("order_nr")) or 0, row["id"]))


def _number(value: Any) -> int | None:
    """An id that the database can keep; None of all else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _BIGGEST else None
