"""Whom a workspace does not want to buy or write to: addresses, and domains that stand for every address in them.

A domain covers its own addresses, not those of its sub-domains: these are often somebody else's.
"""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.db.models import QuerySet, Value
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from accounts.models import Workspace
from leads.models import Suppression

_MAX_TEXT = 320

_ADD = """
    INSERT INTO leads_suppression (workspace_id, kind, value, reason, user_id)
    -- PostgreSQL's own small letters, since it compares them with those of leads
    SELECT %(workspace)s, CASE WHEN strpos(value, '@') > 0 THEN 'email' ELSE 'domain' END, lower(value), %(reason)s, %(user)s
    FROM unnest(%(values)s::text[]) AS given (value)
    ON CONFLICT (workspace_id, value) DO NOTHING
"""


def clean(written: str) -> str:
    """An address or a domain as it is kept; ``@practice.example`` is the domain. Raises ValueError with a sentence."""
    value = written.strip().removeprefix("@")
    try:
        validate_email(value if "@" in value else f"anyone@{value}")
    except ValidationError:
        raise ValueError(_("This is neither an e-mail address nor a domain."))
    if len(value) > _MAX_TEXT or not value.isprintable():
        raise ValueError(_("This is neither an e-mail address nor a domain."))
    return value


def add(values: Sequence[str], *, reason: str, workspace: Workspace, user_id: int | None) -> int:
    """Suppress cleaned values; returns how many were not suppressed before."""
    with connection.cursor() as cursor:
        cursor.execute(
            _ADD, {"workspace": workspace.pk, "reason": reason, "user": user_id, "values": sorted(values)}
        )  # fmt: skip
        return cursor.rowcount


def find(value: str, workspace: Workspace) -> QuerySet[Suppression]:
    """The suppression of a cleaned value, if there is one."""
    found: QuerySet[Suppression] = Suppression.objects.for_workspace(workspace).filter(value=Lower(Value(value)))
    return found
