"""``GET /health``: does everything that a request needs work?"""

import structlog
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from zevix import __version__, jobs
from zevix.api.json import dumps

log = structlog.get_logger("zevix.health")


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 ``{"status": "ok", "version", "checks": {"database": "ok", "jobs": "ok"}}``; 503 where a check fails."""
    database = _database_answers()
    checks = {
        "database": "ok" if database else "failed",
        "jobs": "ok" if database and jobs.worker_alive() else "failed",
    }
    ok = set(checks.values()) == {"ok"}
    body = {"status": "ok" if ok else "failed", "version": __version__, "checks": checks}
    return HttpResponse(dumps(body), status=200 if ok else 503, content_type="application/json")


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        log.exception("database unreachable")
        return False
    return True
