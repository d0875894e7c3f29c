"""A plan that is not paid in time: it is kept for the days of grace, and the workspace's admins are told of both ends of these."""

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop, override

from accounts import mail
from accounts.models import Membership, Role, User
from billing import entitlements
from billing.models import Subscription
from billing.models.subscriptions import OVERDUE
from billing.signals import plan_changed
from zevix import events


def begin(subscription: Subscription) -> None:
    """Tell the admins that the plan is unpaid, and until when it is kept; within the transaction that wrote it."""
    from billing.jobs import end_grace, mail_overdue

    assert subscription.overdue_since is not None
    until, since = _kept_until(subscription), subscription.overdue_since.isoformat()
    if until > timezone.now():
        for user_id in _admins(subscription):
            mail_overdue.defer(subscription_id=subscription.pk, user_id=user_id, since=since)
    end_grace.configure(schedule_at=until).defer(subscription_id=subscription.pk, since=since)


@transaction.atomic
def end(subscription_id: int, since: str) -> None:
    """Tell everybody that the days of grace are over, unless it was paid meanwhile."""
    from billing.jobs import mail_grace_over

    subscription = _still_overdue(subscription_id, since)
    if subscription is None:
        return
    plan = entitlements.plan_of(subscription.workspace)
    told = {"plan": plan.code, "status": subscription.status}
    events.record(subscription.workspace_id, "subscription.changed", told)
    plan_changed.send(Subscription, workspace_id=subscription.workspace_id)
    for user_id in _admins(subscription):
        mail_grace_over.defer(subscription_id=subscription.pk, user_id=user_id, since=since)


def mail_begin(subscription_id: int, user_id: int, since: str) -> None:
    """Raises MailNotSent."""
    with_date = gettext_noop(
        "The plan {plan} of {workspace} could not be charged. It is kept until {date} (UTC). Please see to the payment before then, in"
        " the billing portal; afterwards the free plan counts. Your leads and exports stay in any case."
    )
    _mail(gettext_noop("The payment for {workspace} has failed"), with_date, subscription_id, user_id, since)


def mail_end(subscription_id: int, user_id: int, since: str) -> None:
    """Raises MailNotSent."""
    text = gettext_noop(
        "The plan {plan} of {workspace} was not paid, so the free plan counts now. Your leads and exports are all there. As soon as"
        " the payment is made, in the billing portal, the plan is back."
    )
    _mail(gettext_noop("{workspace} has the free plan now"), text, subscription_id, user_id, since)


def _mail(subject: str, text: str, subscription_id: int, user_id: int, since: str) -> None:
    """In every language, since a job does not know which of them the user reads."""
    subscription = _still_overdue(subscription_id, since)
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if subscription is None or user is None:
        return  # it was paid since, or they left
    subjects, texts = [], []
    for language, _name in settings.LANGUAGES:
        with override(language):
            words = _words(subscription)
            subjects.append(gettext(subject).format(**words))
            texts.append(gettext(text).format(**words))
    mail.send(" / ".join(subjects), "\n\n".join(texts), to=user.email)


def _words(subscription: Subscription) -> dict[str, str]:
    return {
        # names are free text, and a line break would end the subject
        "workspace": " ".join(subscription.workspace.name.split()),
        "plan": subscription.plan.name,
        "date": date_format(_kept_until(subscription), "DATETIME_FORMAT"),
    }


def _still_overdue(subscription_id: int, since: str) -> Subscription | None:
    """None where it was paid, or ended, since then."""
    subscriptions = Subscription.objects.select_related("workspace", "plan")
    return subscriptions.filter(pk=subscription_id, status__in=OVERDUE, overdue_since=since).first()


def _kept_until(subscription: Subscription) -> datetime:
    assert subscription.overdue_since is not None
    return subscription.overdue_since + settings.BILLING_GRACE


def _admins(subscription: Subscription) -> list[int]:
    admins = Membership.objects.for_workspace(subscription.workspace_id).filter(role=Role.ADMIN, user__is_active=True)
    return list(admins.order_by("user").values_list("user", flat=True))
