"""Events as the stand-in for Stripe made them, brought and worked off."""

from procrastinate.contrib.django.models import ProcrastinateJob
from rest_framework.test import APIClient

from billing import webhooks
from billing.models import StripeEvent

PATH = "/api/billing/webhook"
Status = StripeEvent.Status


def event_of(stripe_server, type, **thing):
    """The last of this type that Stripe made, with other content where that is given."""
    found = next(event for event in stripe_server.events if event["type"] == type)
    return found | {"data": {"object": found["data"]["object"] | thing}}


def post(body, header, client=None):
    return (client or APIClient(raise_request_exception=False)).generic(
        "POST", PATH, body, content_type="application/json", HTTP_STRIPE_SIGNATURE=header
    )


def work_off(event=None):
    for waiting in StripeEvent.objects.filter(status=Status.RECEIVED).order_by("pk") if event is None else [event]:
        webhooks.process(waiting)


def jobs():
    return ProcrastinateJob.objects.filter(task_name="billing.jobs.process_event")
