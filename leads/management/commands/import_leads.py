"""``manage.py import_leads FILE… --workspace W | --catalogue``"""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from accounts.models import Workspace
from leads.imports import importing, rejected
from leads.imports.importing import Options
from leads.imports.matching import KEYS
from leads.imports.queueing import sentences
from leads.imports.reading import Incoming
from leads.models import ImportBatch
from leads.numbers import LOCALES
from zevix.errors import Refusal


class Command(BaseCommand):
    help = "Import leads from CSV, TSV, Excel or JSON files into a workspace or the catalogue. May be repeated: what is there is updated."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        target = parser.add_mutually_exclusive_group(required=True)
        target.add_argument(
            "--workspace", help="A workspace's id, its name, or the e-mail address of one of its members."
        )
        target.add_argument("--catalogue", action="store_true", help="The operator's own stock of leads.")
        parser.add_argument(
            "--mapping",
            type=_mapping,
            help='Columns and their fields, as JSON: \'{"Telefon 2": "owner_phone"}\'; by default those given last for such a file.',
        )
        parser.add_argument("--mode", choices=ImportBatch.Mode.values, default=ImportBatch.Mode.UPSERT)
        parser.add_argument(
            "--match-on", type=_keys, default=KEYS, help="external_id, email, npi; several apart by commas."
        )
        parser.add_argument("--locale", choices=LOCALES, default="", help="How dates and numbers are written.")
        parser.add_argument("--delimiter", default="")
        parser.add_argument("--encoding", default="")
        parser.add_argument("--sheet", default="", help="Of a workbook; by default the first that is not hidden.")
        parser.add_argument("--dry-run", action="store_true", help="Check and count, and write nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.catalogue() if options["catalogue"] else _workspace(options["workspace"])
        wanted = Options(**{name: options[name] for name in ("mapping", "mode", "match_on", "locale", "dry_run")})
        count = 0
        for path in options["files"]:
            try:
                count += self._import(path, wanted, workspace, options)
            except OSError as error:
                raise CommandError(f"{path}: {error.strerror}")
            except Refusal as refusal:
                raise CommandError(f"{path}: {sentences(refusal)}")
        if count:
            sys.exit(1)

    def _import(self, path: Path, wanted: Options, workspace: Workspace, options: dict[str, Any]) -> int:
        with (
            path.open("rb") as file,
            tqdm(
                total=100, desc=path.name, disable=None, leave=False,
                bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}",
            ) as bar,
        ):  # fmt: skip

            def progress(percent: int) -> None:
                bar.update(max(percent - bar.n, 0))

            reading = {name: options[name] for name in ("encoding", "delimiter", "sheet")}
            table = Incoming(file, path.name, **reading).table()
            batch = importing.run(table, wanted, workspace=workspace, file_name=path.name, progress=progress)
            progress(100)
            bar.refresh()
        self._report(path, batch, wanted)
        return batch.error_count

    def _report(self, path: Path, batch: ImportBatch, wanted: Options) -> None:
        self.stdout.write(
            f"{path}: {'would have ' if wanted.dry_run else ''}imported {batch.imported_count} of {batch.total_rows} rows"
            f" ({batch.created_count} created, {batch.updated_count} updated, of these {batch.unchanged_count} unchanged;"
            f" {batch.skipped_count} skipped, {batch.error_count} rejected)"
        )
        for problem in batch.rejected[:20]:
            self.stderr.write(f"{path}:{problem.row}: {problem.field + ': ' if problem.field else ''}{problem.message}")
        if batch.error_count and not wanted.dry_run:
            self._keep_errors(path.with_name(f"{path.name}.errors.csv"), batch)

    def _keep_errors(self, path: Path, batch: ImportBatch) -> None:
        try:
            _write_errors(path, batch)
        except OSError as error:  # the import itself is done
            self.stderr.write(f"{path}: {error.strerror}; the rejected rows are kept with import {batch.pk} alone.")
        else:
            self.stderr.write(f"All {batch.error_count} rejected rows: {path}")


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


def _mapping(written: str) -> dict[str, str]:
    try:
        mapping = json.loads(written)
    except json.JSONDecodeError as error:
        raise ArgumentTypeError(f"This is no JSON: {error}")
    if not isinstance(mapping, dict) or not all(isinstance(field, str) for field in mapping.values()):
        raise ArgumentTypeError("This is no JSON object of columns and fields.")
    return mapping


def _keys(written: str) -> list[str]:
    keys = [key.strip() for key in written.split(",") if key.strip()]
    if not keys or not set(keys) <= set(KEYS):
        raise ArgumentTypeError(f"One or more of: {', '.join(KEYS)}.")
    return keys


def _write_errors(path: Path, batch: ImportBatch) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(rejected.lines(batch))
