"""``manage.py sync_plans [--dry-run]``"""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing import catalogue
from zevix.errors import Refusal


class Command(BaseCommand):
    help = (
        "Make or find the products and prices of the plans in Stripe. May be repeated: what is there is left as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Tell what would be done, and do nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        plans, done, problems = catalogue.sold_plans(), 0, 0
        try:
            for finding in catalogue.sync(plans, dry_run=options["dry_run"]):
                (self.stderr if finding.is_problem else self.stdout).write(finding.text)
                problems += finding.is_problem
                done += not finding.is_problem
        except Refusal as refusal:
            raise CommandError(str(refusal))
        would = "would be " if options["dry_run"] else ""
        self.stdout.write(f"{len(plans)} plans: {done} changes {would}made, {problems} problems")
        if problems:
            sys.exit(1)
