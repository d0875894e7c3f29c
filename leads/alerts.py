"""Telling a workspace in time that its quota is nearly used up, and when it is."""

from typing import Any

from django.db import connection
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from accounts import mail
from accounts.models import Membership, Role, User
from leads import quotas
from leads.models import UsageAlert
from leads.quotas import Standing
from zevix import events

THRESHOLDS = (80, 100)  # percent of what can be used


def note(standing: Standing, *, workspace_id: int) -> None:
    """Tell the workspace of the thresholds that ``standing`` has reached, once for each, month and plan; inside the export's transaction.

    An event and a mail to each admin, in the language of the request. Who passes both at once is told of the last alone.
    Below the first threshold this asks the database nothing.
    """
    reached = [percent for percent in THRESHOLDS if standing.used * 100 >= percent * standing.ceiling > 0]
    new = _enter(reached, standing, workspace_id) if reached else {}
    if new:
        threshold = max(new)
        told = {"threshold": threshold, **standing.figures(), "plan": standing.plan}
        events.record(workspace_id, "usage.alert", told)
        _mail_admins(new[threshold], standing, workspace_id)


def _enter(thresholds: list[int], standing: Standing, workspace_id: int) -> dict[int, int]:
    """Those that the workspace was not told of before, each with its alert's id."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_usagealert (workspace_id, month, threshold, plan, created_at)"
            " SELECT %s, %s, threshold, %s, now() FROM unnest(%s::smallint[]) AS t (threshold)"
            " ON CONFLICT (workspace_id, month, threshold, plan) DO NOTHING RETURNING threshold, id",
            [workspace_id, standing.month, standing.plan, thresholds],
        )
        return dict(cursor.fetchall())


def _mail_admins(alert_id: int, standing: Standing, workspace_id: int) -> None:
    from leads.jobs import mail_alert

    admins = Membership.objects.for_workspace(workspace_id).filter(role=Role.ADMIN, user__is_active=True)
    figures: dict[str, Any] = {"used": standing.used, "limit": standing.ceiling, "language": get_language() or "en"}
    for user_id in admins.order_by("user").values_list("user", flat=True):
        # a job for each, so that trouble with one address does not mail the others twice
        mail_alert.defer(alert_id=alert_id, user_id=user_id, **figures)


def mail_alert(alert: UsageAlert, user: User, *, used: int, limit: int, language: str) -> None:
    """Raises MailNotSent."""
    with override(language):
        # names are free text, and a line break would end the subject
        workspace = " ".join(alert.workspace.name.split())
        if alert.threshold < 100:
            subject = _("{workspace} has used {share} of this month's leads")
        else:
            subject = _("{workspace} has used all of this month's leads")
        text = _(
            "{workspace} has used {used} of {limit} leads. The month ends on {date} at midnight (UTC); then the plan's leads are"
            " counted anew.\n\n"
            "To export more before then, change to a larger plan, or buy a pack of leads on top: these last until they are used."
        ).format(
            workspace=workspace,
            used=number_format(used, force_grouping=True),
            limit=number_format(limit, force_grouping=True),
            date=date_format(quotas.last_day(alert.month)),
        )
        subject = subject.format(workspace=workspace, share=f"{alert.threshold}%")
    mail.send(subject, text, to=user.email)
