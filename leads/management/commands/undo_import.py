"""``manage.py undo_import NUMBER``"""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError
from tqdm import tqdm

from leads import undoing
from leads.history import Author
from leads.models import ImportBatch, Undo
from zevix.errors import Refusal


class Command(BaseCommand):
    help = "Takes an import back: what it brought goes to the bin, what it changed returns to what it was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", type=int, help="the import's number, as the import printed it")

    def handle(self, *args: Any, number: int, **options: Any) -> None:
        batch = ImportBatch.objects.filter(pk=number).first()
        if batch is None:
            raise CommandError(f"There is no import {number}.")
        try:
            undo = undoing.begin(f"import:{number}", workspace=batch.workspace, by=Author("human"))
        except Refusal as refusal:
            raise CommandError(str(refusal))
        with tqdm(total=100, unit="%", disable=None, file=self.stderr) as bar:
            while undo.status != Undo.Status.COMPLETED:
                undoing.advance(undo)
                bar.update(undo.progress - bar.n)
        self.stdout.write(
            f"import {number} undone: {undo.removed_count} removed, {undo.reverted_count} changed back, {undo.kept_count} kept"
        )
        for kept in undo.kept.order_by("lead_id")[:20]:
            self.stdout.write(f"kept: lead {kept.lead_id}: {kept.reason} {', '.join(kept.fields)}".rstrip())
