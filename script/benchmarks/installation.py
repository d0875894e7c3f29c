"""The bench's own installation in ``var/bench``: a workspace of a million leads, small ones, a large catalogue.

It is kept between runs, since making the million takes minutes. Import `environment` before Django is set up, the rest after.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from script.benchmarks.report import progress
from script.benchmarks.server import ROOT, Server, running

if TYPE_CHECKING:
    from accounts.models import Membership

DATA_DIR = ROOT / "var" / "bench"
MANY = 1_000_000
CATALOGUE = 120_000
_SMALL, _SMALL_SIZE = 20, 1_000
_MIDDLING_SIZE = 10_000
_LARGE_NAME, _MIDDLING_NAME, _PASSING = "Bench: large", "Bench: middling", "Bench: passing"
_SMALL_DATABASE = "small"
_PLAN_LEADS = 2_000_000_000


def environment(data_dir: Path) -> dict[str, str]:
    """The environment of an installation in ``data_dir``, whatever this checkout's own ``.env`` says."""
    own = {
        "DATA_DIR": str(data_dir),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "SENTRY_DSN": "",
        "HOST": "127.0.0.1",
        "DEBUG": "true",
        "ACCESS_TOKEN_MINUTES": "600",
    }
    return {**os.environ, **own}


@contextmanager
def alone() -> Iterator[None]:
    """Refuse to run beside another bench: they would measure each other."""
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    with (DATA_DIR / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("Another bench is running in this checkout.")
        yield


def open_large() -> None:
    """Set Django up on the large installation; made on the first run, migrated on every one."""
    os.environ.update(environment(DATA_DIR), DJANGO_SETTINGS_MODULE="script.benchmarks.settings")
    import django
    from django.core.management import call_command
    from django.db import transaction

    django.setup()
    call_command("prepare", stdout=sys.stderr)
    with transaction.atomic():
        _fill()
    forget_passing_workspaces()
    _settle()


@contextmanager
def served() -> Iterator[Server]:
    """The server on the large installation, as long as the block lasts."""
    with running([sys.executable, "-m", "zevix.server"], os.environ, DATA_DIR / "server.log") as server:
        yield server


def large() -> "Membership":
    """The member of the workspace of a million leads."""
    from accounts.models import Membership

    return Membership.objects.select_related("user", "workspace").get(workspace__name=_LARGE_NAME)


def middling() -> "Membership":
    """The member of the workspace of ten thousand leads."""
    from accounts.models import Membership

    return Membership.objects.select_related("user", "workspace").get(workspace__name=_MIDDLING_NAME)


def passing_workspace() -> "Membership":
    """The member of a new, empty workspace, which `forget_passing_workspaces` deletes."""
    return _member(_PASSING)


_PASSED = "(SELECT id FROM accounts_workspace WHERE name = %(passing)s)"
_EXPORTED = """
    DELETE FROM leads_exportedlead AS charge USING leads_lead AS lead
    WHERE lead.id = charge.lead_id AND lead.workspace_id = (SELECT id FROM accounts_workspace WHERE is_catalogue)
"""


def forget_passing_workspaces() -> None:
    """Delete what the jobs have left: passing workspaces with all their rows, and the exports of the large one."""
    from django.db import connection, transaction

    statements = [
        f"DELETE FROM leads_leadversion WHERE workspace_id IN {_PASSED}",
        f"DELETE FROM leads_uncomparedlead WHERE workspace_id IN {_PASSED}",
        f"DELETE FROM leads_mergedlead WHERE merge_id IN (SELECT id FROM leads_merge WHERE workspace_id IN {_PASSED})",
        "DELETE FROM leads_lead WHERE workspace_id = %(large)s AND catalogue_lead_id IS NOT NULL",
        _EXPORTED,
        *(f"DELETE FROM {table} WHERE {column} IN {_PASSED}" for table, column in _tables_of_workspaces()),
        "DELETE FROM accounts_workspace WHERE name = %(passing)s",
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        # nothing else points at these rows; to look for that row by row would take long
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement, {"passing": _PASSING, "large": large().workspace_id})


def vacuum() -> None:
    """Clear away what the last job has left dead."""
    for table in ("leads_lead", "leads_leadversion", "leads_uncomparedlead", "leads_exportedlead", "zevix_event"):
        _run(f"VACUUM {table}")


def token_of(member: "Membership") -> str:
    from accounts import tokens

    return tokens.issue(member).access


def large_database() -> str:
    from django.conf import settings

    return str(settings.DATABASE_URL)


def small_database() -> str:
    """The URL of a second database in the same PostgreSQL, which has no leads."""
    from django.db import connection

    url = f"{large_database().rpartition('/')[0]}/{_SMALL_DATABASE}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", [_SMALL_DATABASE])
        if not cursor.fetchall():
            cursor.execute(f"CREATE DATABASE {_SMALL_DATABASE}")
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True,
                   env={**os.environ, "DATABASE_URL": url})  # fmt: skip
    return url


def empty_small_database() -> None:
    """Take all tenants out of it, with all that is theirs."""
    import psycopg
    from django.db import connection

    there = {
        "host": connection.settings_dict["HOST"],
        "user": connection.settings_dict["USER"],
        "dbname": _SMALL_DATABASE,
    }
    with psycopg.connect(**there, autocommit=True) as small:
        small.execute("TRUNCATE accounts_workspace CASCADE")


# Making it ----------------------------------------------------------------------------------------------------------------


def _fill() -> None:
    """Make everything, unless it is there."""
    from accounts.models import Workspace
    from script.benchmarks import invented

    if Workspace.objects.filter(name=_LARGE_NAME).exists():
        return
    progress(f"Making {MANY:,} leads in var/bench, once; this takes a few minutes …")
    invented.make_leads(Workspace.objects.catalogue().pk, CATALOGUE)
    _make_small_ones(_SMALL // 2)
    invented.make_leads(_member(_LARGE_NAME).workspace_id, MANY)
    invented.make_leads(_member(_MIDDLING_NAME).workspace_id, _MIDDLING_SIZE)
    # later ones, too: the million must not be the table's end
    _make_small_ones(_SMALL // 2)
    invented.charge_for_all(large(), count=MANY, limit=_PLAN_LEADS)
    _run("TRUNCATE leads_uncomparedlead")  # nobody asks for their twins


def _make_small_ones(number: int) -> None:
    from script.benchmarks import invented

    for _ in range(number):
        invented.make_leads(_member("Bench: small").workspace_id, _SMALL_SIZE)


def _member(name: str) -> "Membership":
    """A new workspace on a huge plan, with the one user that all the bench's workspaces share."""
    from accounts.models import Membership, Role, User, Workspace
    from billing.models import Plan, Subscription

    user, _made = User.objects.get_or_create(email="bench@example.com", defaults={"username": "bench"})
    plan, _made = Plan.objects.get_or_create(code="bench", defaults={"name": "Bench", "monthly_leads": _PLAN_LEADS})
    workspace = Workspace.objects.create(name=name)
    Subscription.objects.create(workspace=workspace, plan=plan)
    return Membership.objects.create(user=user, workspace=workspace, role=Role.ADMIN)


def _settle() -> None:
    """What autovacuum would do at some moment during the rounds is done now, and after each job."""
    for table in ("leads_lead", "leads_leadversion", "leads_exportedlead"):
        _run(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    # a worker would compare the million with each other during the rounds
    _run("TRUNCATE leads_uncomparedlead")
    _run("VACUUM (ANALYZE)")


def _tables_of_workspaces() -> list[tuple[str, str]]:
    """Every table that names a workspace, with the column that does."""
    from accounts.models import Workspace

    fields = [relation.field for relation in Workspace._meta.related_objects if not relation.many_to_many]
    return [(field.model._meta.db_table, field.get_attname()) for field in fields]


def _run(statement: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
