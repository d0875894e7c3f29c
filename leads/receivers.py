"""What leads do when something happens in the apps below: queue a job, nothing else."""

from typing import Any

from django.dispatch import receiver

from accounts.signals import member_left
from leads.jobs import release_leads


@receiver(member_left)
def release_leads_of_who_left(user_id: int, workspace_id: int, **_more: Any) -> None:
    release_leads.defer(user_id=user_id, workspace_id=workspace_id)
