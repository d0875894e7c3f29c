"""What the CRM does when something happens in the apps below: keep the wish and queue a job, nothing else."""

from decimal import Decimal
from typing import Any

from django.dispatch import receiver

from accounts.models import Workspace
from crm.errors import NotConnected
from crm.pipedrive import accounts
from crm.pipedrive.deals import wanting
from crm.pipedrive.deals.wanting import Wish
from crm.pipedrive.runs import waking
from leads.history import Author
from leads.signals import deal_wanted


@receiver(deal_wanted)
def keep_the_wish(
    lead_id: int, workspace: Workspace, title: str, value: Decimal, currency: str, by: Author, **_more: Any
) -> None:
    """Workspaces that are not connected to Pipedrive have the task alone."""
    try:
        connection = accounts.connection_of(workspace)
    except NotConnected:
        return
    wanting.want_with(lead_id, Wish(title=title, value=value, currency=currency), connection=connection, by=by)
    waking.wake(connection.pk)
