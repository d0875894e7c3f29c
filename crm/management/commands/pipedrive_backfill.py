"""``manage.py pipedrive_backfill [--workspace W] [--dry-run] [--wait]``"""

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from accounts.models import Workspace
from crm.errors import BudgetSpent
from crm.models import Connection, SyncRun
from crm.pipedrive import accounts
from crm.pipedrive.runs import backfilling
from crm.pipedrive.runs.passes import leads_of
from crm.pipedrive.syncing.syncing import Outcome
from zevix.errors import Refusal

_NAP = 60.0  # seconds


class Command(BaseCommand):
    help = "Bring all leads of a workspace into step with Pipedrive. May be stopped and started again: it goes on where it was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--workspace",
            help="A workspace's id, its name, or the e-mail address of one of its members; by default the only one that is connected.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Tell what would be done, and write nothing on either side."
        )
        parser.add_argument(
            "--wait", action="store_true", help="Wait for the next day's tokens where today's are used up."
        )
        parser.add_argument("--threads", type=int, help="By default as many as the account's pace takes.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            connection = _connection(options["workspace"])
            run = backfilling.take_up(connection, dry_run=options["dry_run"])
            self._work(run, options)
        except KeyboardInterrupt:
            raise CommandError("Stopped. Start it again, and it goes on where it was.", returncode=130)
        except Refusal as refusal:
            raise CommandError(str(refusal))
        self._sum_up(run)
        if run.failed_count:
            sys.exit(1)

    def _work(self, run: SyncRun, options: dict[str, Any]) -> None:
        while True:
            try:
                self._go_on(run, options["threads"])
                return
            except BudgetSpent as spent:
                left = run.total_count - run.done_count
                self.stderr.write(f"{spent} Left: {left} of {run.total_count} leads.")
                if not options["wait"] or run.kind == SyncRun.Kind.PLAN:
                    raise CommandError("Start it again then, or let it wait with --wait.")
                _sleep_until(spent.details["until"])

    def _go_on(self, run: SyncRun, threads: int | None) -> None:
        total = leads_of(run).count()
        with (
            tqdm(desc="reading Pipedrive", unit="", disable=None, leave=False) as reading,
            tqdm(total=total, desc="leads", unit="", disable=None) as bar,
        ):

            def read(count: int) -> None:
                reading.update(count - reading.n)

            def each(lead_id: int, outcome: Outcome) -> None:
                bar.update(run.done_count - bar.n)
                if outcome.problem:
                    bar.write(f"lead {lead_id}: {outcome.problem}", file=sys.stderr)

            backfilling.go_on(run, threads=threads, reading=read, each=each)

    def _sum_up(self, run: SyncRun) -> None:
        verb = "would be " if run.kind == SyncRun.Kind.PLAN else ""
        self.stdout.write(
            f"{run.done_count} of {run.total_count} leads: {run.created_count} {verb}created in Pipedrive, {run.pushed_count} {verb}changed"
            f" there, {run.pulled_count} {verb}changed here; {run.conflict_count} conflicts; {run.failed_count} with a problem"
        )


def _connection(named: str | None) -> Connection:
    if named:
        return accounts.connection_of(_workspace(named))
    accounts.default_connection()
    match list(Connection.objects.exclude(state=Connection.State.DISCONNECTED).select_related("workspace")[:2]):
        case [connection]:
            return connection
        case []:
            raise CommandError("No workspace is connected to Pipedrive.")
    raise CommandError("Several workspaces are connected; name one with --workspace.")


def _workspace(named: str) -> Workspace:
    tenants = Workspace.objects.tenants()
    if named.isascii() and named.isdigit():
        found = tenants.filter(pk=int(named))
    elif "@" in named:
        found = tenants.filter(memberships__user__email=named.lower())
    else:
        found = tenants.filter(name=named)
    match list(found[:2]):
        case [workspace]:
            return workspace
        case []:
            raise CommandError(f"There is no workspace “{named}”.")
    raise CommandError(f"There are several workspaces “{named}”; name one by its id.")


def _sleep_until(moment: Any) -> None:
    while (left := (moment - timezone.now()).total_seconds()) > 0:
        time.sleep(min(left, _NAP))
