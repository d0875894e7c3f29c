"""``manage.py stripe_replay [--failed] [--missing] [--since DATE] [EVENT…]``"""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from tqdm import tqdm

from billing import webhooks
from billing.models import StripeEvent
from zevix.errors import Refusal, Unreachable


class Command(BaseCommand):
    help = "Work off events of Stripe again: those named, those that failed, or those that never came. May be repeated."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("events", nargs="*", metavar="EVENT", help="Ids of events, such as evt_1Pgc76.")
        parser.add_argument("--failed", action="store_true", help="Those that failed; the default.")
        parser.add_argument(
            "--missing", action="store_true", help="Fetch from Stripe those that never came (of 30 days at most)."
        )
        parser.add_argument(
            "--since", type=_moment, help="Of these only those that happened since, such as 2026-11-01."
        )

    def handle(self, *args: Any, events: list[str], failed: bool, missing: bool, since: Any, **options: Any) -> None:
        try:
            fetched = webhooks.fetch_missing(since) if missing else []
        except Refusal as refusal:
            raise CommandError(str(refusal))
        chosen = StripeEvent.objects.filter(pk__in=[event.pk for event in fetched])
        if events:
            chosen |= _named(events)
        if failed or not (events or missing):
            chosen |= StripeEvent.objects.failed()
        if since:
            chosen = chosen.filter(sent_at__gte=since)
        self._replay(list(chosen.order_by("sent_at", "pk")))

    def _replay(self, events: list[StripeEvent]) -> None:
        failures = 0
        for event in tqdm(events, disable=None, leave=False):
            try:
                webhooks.process(event)
            except Unreachable:
                pass  # noted at the event, as any other refusal
            if event.status == StripeEvent.Status.FAILED:
                failures += 1
                self.stderr.write(f"{event.event_id} {event.type}: {event.error}")
        self.stdout.write(f"{len(events)} events worked off again, {failures} failed")
        if failures:
            sys.exit(1)


def _named(ids: list[str]) -> Any:
    found = StripeEvent.objects.filter(event_id__in=ids)
    unknown = sorted(set(ids) - set(found.values_list("event_id", flat=True)))
    if unknown:
        raise CommandError(
            f"There are no such events: {', '.join(unknown)}. Those that never came are fetched by --missing."
        )
    return found


def _moment(written: str) -> datetime:
    try:
        day = parse_date(written)
        moment = datetime(day.year, day.month, day.day) if day else parse_datetime(written)
    except ValueError:
        moment = None
    if moment is None:
        raise ArgumentTypeError("A date or a time, such as 2026-11-01 or 2026-11-01T12:00Z.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
