"""What is wrong with a connection as a whole, in a sentence that says what to do."""

from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.errors import TokenRefused
from crm.models import Connection
from zevix.errors import Refusal

RETRY_AFTER = timedelta(hours=1)
KNOWN = "broken"  # the kind of a refusal that only tells what is noted already
_LONGEST = 500  # characters


def note_trouble(connection: Connection, error: Refusal) -> None:
    """Keep what is wrong. A refused token breaks the connection: nothing is asked until ``retry_at``, or until somebody mends it."""
    if error.details.get("kind") == KNOWN:
        return
    is_broken = isinstance(error, TokenRefused)
    changes = {"problem": sentence(connection, error)[:_LONGEST], "problem_at": Coalesce(F("problem_at"), Now())}
    mine = Connection.objects.filter(pk=connection.pk, sealed_token=connection.sealed_token)  # not another one's by now
    if is_broken:
        mine.filter(state=Connection.State.ACTIVE).update(state=Connection.State.BROKEN)
        changes["retry_at"] = timezone.now() + RETRY_AFTER
    mine.update(**changes)
    connection.refresh_from_db(fields=["state", "problem", "problem_at", "retry_at"])


def note_fine(connection: Connection) -> None:
    """It works (again). Costs nothing where that is known."""
    if not connection.problem and connection.state != Connection.State.BROKEN:
        return
    mine = Connection.objects.filter(pk=connection.pk)
    mine.filter(state=Connection.State.BROKEN).update(state=Connection.State.ACTIVE)
    mine.update(problem="", problem_at=None, retry_at=None)
    connection.refresh_from_db(fields=["state", "problem", "problem_at", "retry_at"])


def sentence(connection: Connection, error: Refusal) -> str:
    kind = error.details.get("kind") if isinstance(error, TokenRefused) else None
    if kind == "token" and not connection.sealed_token:
        return _(
            "Pipedrive does not accept the API token of PIPEDRIVE_API_KEY. Whoever runs Zevix has to set a new one."
        )
    if kind == "token":
        return _(
            "Pipedrive does not accept the API token. Enter a new one; Pipedrive shows it under Personal preferences, API."
        )
    if kind == "account_closed":
        return _("The account of Pipedrive is closed or not paid for. Once that is settled, it goes on by itself.")
    if kind == "unsealable":
        return _(
            "The API token can't be read: SECRET_KEY has changed. Enter the token again, or name the former key in SECRET_KEY_FALLBACKS."
        )
    return str(error)
