"""What the operator does about leads that were sold and take no mail."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.admin import user_of
from leads import refunds
from leads.models import ExportedLead
from zevix.admin_site import is_operator

_AT_ONCE = 1_000


class RefundsDead:
    """An action for the operator alone, upon leads of the catalogue or upon what was sold."""

    message_user: Any

    def has_refund_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    @admin.action(description=_("E-mail address is dead: refund"), permissions=["refund"])
    def refund_dead(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        addresses = _addresses(rows)
        if len(addresses) > _AT_ONCE:
            sentence = _("At most {limit} rows at a time: narrow the list.").format(limit=_AT_ONCE)
            self.message_user(request, sentence, messages.ERROR)
            return
        found = refunds.report_dead(addresses, by=user_of(request)).values()
        marked, refunded = sum(one.marked for one in found), sum(one.refunded for one in found)
        done = _("{marked} leads marked as undeliverable, {refunded} refunded.").format(
            marked=marked, refunded=refunded
        )
        self.message_user(request, done, messages.SUCCESS if marked or refunded else messages.WARNING)


def _addresses(rows: QuerySet[Any]) -> list[str]:
    if rows.model is ExportedLead:
        return refunds.addresses_sold(rows)
    leads: Any = rows
    return list(leads.in_catalogue().exclude(email="").order_by().values_list("email", flat=True)[: _AT_ONCE + 1])
