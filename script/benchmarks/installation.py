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
    from accounts.models import Membership, Workspace

DATA_DIR = ROOT / "var" / "bench"
MANY = 1_000_000
CATALOGUE = 120_000
_SMALL, _SMALL_SIZE = 20, 1_000
_LARGE_NAME, _PASSING = "Bench: large", "Bench: passing"
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


def passing_workspace() -> "Membership":
    """The member of a new, empty workspace, which `forget_passing_workspaces` deletes."""
    return _member(_PASSING)


def forget_passing_workspaces() -> None:
    """Delete what the jobs have left: passing workspaces with all their rows, and the exports of the large one."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        # nothing else points at these rows; looking for that row by row would take minutes
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("CREATE TEMPORARY TABLE passing ON COMMIT DROP AS SELECT id FROM accounts_workspace WHERE name = %s", [_PASSING])  # fmt: skip
        cursor.execute("DELETE FROM leads_lead WHERE workspace_id IN (SELECT id FROM passing)")
        cursor.execute("DELETE FROM leads_lead WHERE workspace_id = %s AND catalogue_lead_id IS NOT NULL", [large().workspace_id])  # fmt: skip
        cursor.execute("DELETE FROM leads_exportedlead AS charge USING leads_lead AS lead WHERE lead.id = charge.lead_id"
                       " AND lead.workspace_id = (SELECT id FROM accounts_workspace WHERE is_catalogue)")  # fmt: skip
        for table in _tables_of_workspaces():
            cursor.execute(f"DELETE FROM {table} WHERE workspace_id IN (SELECT id FROM passing)")
        cursor.execute("DELETE FROM accounts_workspace WHERE id IN (SELECT id FROM passing)")


def vacuum() -> None:
    """Clear away what the last job has left dead."""
    for table in ("leads_lead", "leads_exportedlead", "zevix_event"):
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

    if Workspace.objects.filter(name=_LARGE_NAME).exists():
        return
    progress(f"Making {MANY:,} leads in var/bench, once; this takes a few minutes …")
    _make_leads(Workspace.objects.catalogue(), CATALOGUE)
    for number in range(_SMALL // 2):
        _make_leads(_member(f"Bench: small {number}").workspace, _SMALL_SIZE)
    _make_leads(_member(_LARGE_NAME).workspace, MANY)
    for number in range(_SMALL // 2, _SMALL):
        _make_leads(_member(f"Bench: small {number}").workspace, _SMALL_SIZE)
    _charge_all(large())


def _member(name: str) -> "Membership":
    """A new workspace on a huge plan, with the one user that all the bench's workspaces share."""
    from accounts.models import Membership, Role, User, Workspace
    from billing.models import Plan, Subscription

    user, _made = User.objects.get_or_create(email="bench@example.com", defaults={"username": "bench"})
    plan, _made = Plan.objects.get_or_create(code="bench", defaults={"name": "Bench", "monthly_leads": _PLAN_LEADS})
    workspace = Workspace.objects.create(name=name)
    Subscription.objects.create(workspace=workspace, plan=plan)
    return Membership.objects.create(user=user, workspace=workspace, role=Role.ADMIN)


_LEADS = """
    INSERT INTO leads_lead (
        workspace_id, external_id, name, email, phone, phone_normalized, company, website, channel, address, city, state, zip_code,
        country, npi, entity_type, providers, specialties, status, score, needs_action, last_contact, notes, tags, extra, source,
        created_at, updated_at
    )
    SELECT
        %(workspace)s, 'B' || lpad(n::text, 8, '0'), first || ' ' || last,
        lower(first || '.' || last) || n || '@' || lower(replace(word, ' ', '-')) || '.example',
        format('(%%s) %%s-%%s', 200 + n %% 700, 200 + n * 7 %% 799, lpad((n * 13 %% 9999)::text, 4, '0')),
        '+1' || (200 + n %% 700) || (200 + n * 7 %% 799) || lpad((n * 13 %% 9999)::text, 4, '0'),
        word || ' ' || kind, 'https://' || lower(replace(word, ' ', '-')) || n || '.example',
        (ARRAY['web', 'referral', 'fair', ''])[1 + n %% 4],
        (1 + n * 31 %% 9900) || ' ' || street, split_part(place, '|', 1), split_part(place, '|', 2),
        split_part(place, '|', 3) || '-' || lpad((n %% 9999)::text, 4, '0'), 'US', (1000000000 + n)::text, 'Organization',
        ARRAY['Dr. ' || last, 'Dr. ' || first], ARRAY[kind], (ARRAY['NEW', 'NEW', 'CONTACTED', 'QUALIFIED', 'PROPOSAL', 'WON', 'LOST'])[1 + n %% 7],
        nullif(n * 17 %% 101, 0), n %% 3 = 0, CASE WHEN n %% 3 > 0 THEN now() - make_interval(days => n %% 400) END,
        CASE WHEN n %% 5 = 0 THEN format('Asked for an offer for %%s in %%s, call back about the %%s.', kind, split_part(place, '|', 1), word) ELSE '' END,
        CASE WHEN n %% 4 = 0 THEN ARRAY['priority', 'q' || (1 + n %% 4)] ELSE '{}' END, jsonb_build_object('beds', n %% 90, 'region', n %% 12),
        'import', moment, moment
    FROM generate_series(1, %(count)s) AS n, LATERAL (
        SELECT (ARRAY['Anna', 'James', 'Maria', 'Robert', 'Linda', 'Omar', 'Grace', 'Henry', 'Wei', 'Sofia', 'Noah'])[1 + n %% 11] AS first,
            (ARRAY['Smith', 'Garcia', 'Chen', 'Miller', 'Okafor', 'Novak', 'Jones', 'Khan', 'Larsen', 'Brown', 'Weber', 'Diaz', 'Cohen'])[1 + n %% 13] AS last,
            (ARRAY['Ability', 'Belleview', 'Cedar Ridge', 'Delta', 'Evergreen', 'Fairview', 'Golden Gate', 'Harbor', 'Ivy', 'Juniper', 'Kings',
                   'Lakeside', 'Meridian', 'Northstar', 'Oakwood', 'Pioneer', 'Quail Run', 'Riverside', 'Summit'])[1 + n * 3 %% 19] || ' ' || n / 50 AS word,
            (ARRAY['Dental Associates', 'Family Medicine', 'Pediatrics', 'Physical Therapy', 'Eye Care', 'Radiology', 'Cardiology'])[1 + n * 5 %% 7] AS kind,
            (ARRAY['Main St', 'Oak Ave', 'Elm Blvd, Suite 200', 'River Rd', 'Hospital Dr', 'E 5th St', 'Commerce Way'])[1 + n * 11 %% 7] AS street,
            (ARRAY['Chicago|IL|60611', 'Topeka|KS|66604', 'Gold River|CA|95670', 'Denver|CO|80202', 'Austin|TX|78701', 'Miami|FL|33101', 'Boise|ID|83702',
                   'Akron|OH|44301', 'Salem|OR|97301', 'Provo|UT|84601', 'Mobile|AL|36602', 'Fargo|ND|58102', 'Albany|NY|12207', 'Tampa|FL|33602',
                   'Dallas|TX|75201', 'Fresno|CA|93701', 'Tulsa|OK|74103'])[1 + n * 29 %% 17] AS place,
            now() - make_interval(secs => %(count)s - n) AS moment
    ) AS words
    ORDER BY n
"""


def _make_leads(workspace: "Workspace", count: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_LEADS, {"workspace": workspace.pk, "count": count})


def _charge_all(member: "Membership") -> None:
    """Have the workspace own all its leads by exports, in this very month."""
    from django.db import connection

    from leads import quotas

    given: dict[str, int | str] = {
        "workspace": member.workspace_id,
        "user": member.user_id,
        "month": quotas.current_month(),
        "count": MANY,
        "limit": _PLAN_LEADS,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH receipt AS (
                INSERT INTO leads_export (workspace_id, user_id, month, new_count, duplicate_count, not_exported_count,
                                          unknown_count, used, "limit", created_at)
                VALUES (%(workspace)s, %(user)s, %(month)s, %(count)s, 0, 0, 0, %(count)s, %(limit)s, now())
                RETURNING id
            )
            INSERT INTO leads_exportedlead (workspace_id, lead_id, export_id)
            SELECT workspace_id, leads_lead.id, receipt.id FROM leads_lead, receipt WHERE workspace_id = %(workspace)s
            """,
            given,
        )


def _settle() -> None:
    """What autovacuum would do at some moment during the rounds is done now, and after each job."""
    for table in ("leads_lead", "leads_exportedlead"):
        _run(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    _run("VACUUM (ANALYZE)")


def _tables_of_workspaces() -> list[str]:
    from accounts.models import Workspace

    return [
        relation.related_model._meta.db_table
        for relation in Workspace._meta.related_objects
        if isinstance(relation.related_model, type) and relation.related_model._meta.db_table != "leads_lead"
    ]


def _run(statement: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
