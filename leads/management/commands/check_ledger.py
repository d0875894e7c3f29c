"""``manage.py check_ledger [--workspace ID]``"""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from accounts.models import Workspace
from leads import auditing


class Command(BaseCommand):
    help = "Prove that each month's usage, each credit and each export is the sum of its entries in the ledger."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", type=int, metavar="ID", help="Only this one; by default all.")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace_id = options["workspace"]
        if workspace_id is not None and not Workspace.objects.filter(pk=workspace_id).exists():
            raise CommandError(f"There is no workspace {workspace_id}.")
        count = 0
        for check in tqdm(auditing.CHECKS, desc="ledger", disable=None, leave=False):
            for sentence in auditing.differences(check, workspace_id):
                self.stdout.write(sentence)
                count += 1
        if count:
            self.stderr.write(f"The ledger differs in {count} places.")
            sys.exit(1)
        self.stdout.write("The ledger is right.")
