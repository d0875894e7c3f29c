"""``manage.py report_bounces FILE``"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from leads import bounces
from leads.imports.queueing import sentences
from leads.imports.reading import Incoming
from leads.refunds import Found
from zevix.errors import Refusal


class Command(BaseCommand):
    help = (
        "Mark leads whose e-mail address takes no mail, in the catalogue and wherever they were exported, and give back what was paid"
        " for them lately. The file has a column email, and may have date (of the bounce) and reason (hard bounce, undeliverable)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--dry-run", action="store_true", help="Look and count, and write nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        path, dry_run = options["file"], options["dry_run"]
        try:
            with path.open("rb") as file:
                lines = list(bounces.read(Incoming(file, path.name)))
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}")
        except Refusal as refusal:
            raise CommandError(f"{path}: {sentences(refusal)}")
        with tqdm(total=len(lines), desc=path.name, disable=None, leave=False) as bar:
            told = bounces.report(lines, dry_run=dry_run, progress=bar.update)
        for line in lines:
            if line.problem:
                self.stderr.write(f"{path}:{line.row}: {line.problem}")
            else:
                self.stdout.write(f"{path}:{line.row}: {_shown(told[line.row])}")
        self._summarize(lines, told, dry_run)

    def _summarize(self, lines: list[bounces.Line], told: dict[int, Found], dry_run: bool) -> None:
        rejected = sum(bool(line.problem) for line in lines)
        marked, refunded = (sum(getattr(found, name) for found in told.values()) for name in ("marked", "refunded"))
        unknown = sum(not found.leads for found in told.values())
        self.stdout.write(
            f"{'Would have marked' if dry_run else 'Marked'} {marked} leads and refunded {refunded};"
            f" {unknown} addresses are nobody's, {rejected} lines rejected."
        )
        if rejected:
            sys.exit(1)


def _shown(found: Found) -> str:
    if not found.leads:
        return "nobody has this address"
    return f"{found.leads} leads, {found.marked} of them marked now, {found.refunded} refunded"
