"""``manage.py stripe_reconcile [--dry-run]``"""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from billing.converging import reconciling
from billing.models import BillingAccount
from billing.stripe_gateway.client import is_configured
from zevix.errors import NotConfigured, Unreachable


class Command(BaseCommand):
    help = "Compare each workspace with what Stripe says of it, tell what differs, and mend it. May be repeated."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Tell what differs, and change nothing.")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        if not is_configured():
            raise CommandError(str(NotConfigured(setting="STRIPE_SECRET_KEY")))
        accounts = BillingAccount.objects.select_related("workspace").exclude(customer_id="").order_by("pk")
        count, drifts, mended = accounts.count(), 0, 0
        try:
            for account in tqdm(accounts.iterator(), total=count, disable=None, leave=False):
                for drift in reconciling.reconcile(account, dry_run=dry_run):
                    drifts, mended = drifts + 1, mended + drift.is_mended
                    (self.stdout if drift.is_mended else self.stderr).write(str(drift))
        except Unreachable as refusal:
            raise CommandError(str(refusal))
        self.stdout.write(f"{count} accounts: {drifts} differences, {mended} {'would be ' if dry_run else ''}mended")
        if mended < drifts:
            sys.exit(1)
