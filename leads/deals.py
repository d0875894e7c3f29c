"""Deals that somebody wants made. Their home is the CRM; here they move a lead on, and tell what is to be done."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Workspace
from leads import activities, editing
from leads.errors import NotYourLead
from leads.history import Author
from leads.models import Activity, Lead, LeadStatus
from leads.signals import deal_wanted
from leads.values import text
from zevix.errors import NotFound

_MOST = Decimal("999999999999.99")
_BEFORE_AN_OFFER = (LeadStatus.NEW, LeadStatus.CONTACTED, LeadStatus.QUALIFIED)
# Source: ISO 4217, the currencies in use
_CURRENCIES = frozenset(
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC "
    "CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK "
    "JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR "
    "MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP "
    "STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG".split()
)  # fmt: skip


@transaction.atomic
def want(
    lead_id: int, title: str, value: Decimal, currency: str, *, workspace: Workspace, by: Author
) -> dict[str, Any]:
    """Have a deal made with a lead: it becomes PROPOSAL where it was before that, and gets a task that names the deal.

    The fields are checked ones. Returns ``{"lead_id", "status", "activity_id"}``. Raises NotFound, NotYourLead.
    """
    status = _lock(lead_id, workspace, by)
    if status in _BEFORE_AN_OFFER:
        status = LeadStatus.PROPOSAL.value
        editing.update(lead_id, {"status": status}, workspace=workspace, by=by)
    task = {"type": Activity.Type.TASK.value, "text": f"Deal: {title}, {value:,.2f} {currency}"}
    activity_id = activities.add(lead_id, task, workspace=workspace, by=by)
    deal = {"title": title, "value": value, "currency": currency}
    deal_wanted.send(sender=Lead, lead_id=lead_id, workspace=workspace, by=by, **deal)
    return {"lead_id": lead_id, "status": status, "activity_id": activity_id}


def _lock(lead_id: int, workspace: Workspace, by: Author) -> str:
    """The status of the lead, which is held until the transaction ends."""
    found = Lead.objects.for_workspace(workspace).select_for_update().filter(pk=lead_id)
    row = found.values_list("status", "assigned_user_id").first()
    if row is None:
        raise NotFound
    if not by.may_change(row[1]):
        raise NotYourLead
    return str(row[0])


# What a deal may hold: as in `leads.values`, each raises ValueError with a sentence


def deal_title(value: Any) -> str:
    found: str = text(200)(_written(value))
    if not found:
        raise ValueError(_("Write something."))
    return " ".join(found.split())


def deal_value(value: Any) -> Decimal:
    """An amount of money, exact; floats as they are written."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(_("This is of the wrong type."))
    try:
        found = Decimal(str(value).strip()[:40])
    except InvalidOperation:
        raise ValueError(_("This is no number."))
    if not found.is_finite() or not 0 <= found <= _MOST:
        raise ValueError(_("A number from 0 to {most}.").format(most=f"{_MOST:,}"))
    if found != round(found, 2):
        raise ValueError(_("At most two decimals."))
    return abs(round(found, 2))  # of minus nothing, too


def deal_currency(value: Any) -> str:
    found = re.sub(r"\s", "", _written(value)).upper()
    if found not in _CURRENCIES:
        raise ValueError(_("The three letters of a currency, such as EUR."))
    return found


def _written(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(_("This is of the wrong type."))
    return value
