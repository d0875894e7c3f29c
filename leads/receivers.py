"""What leads do when something happens in the apps below: queue a job, nothing else."""

from typing import Any

from django.dispatch import receiver

from accounts.signals import member_left
from billing.signals import plan_changed, topped_up
from leads.jobs import credit_top_up, release_leads, tell_of_plan


@receiver(member_left)
def release_leads_of_who_left(user_id: int, workspace_id: int, **_more: Any) -> None:
    release_leads.defer(user_id=user_id, workspace_id=workspace_id)


@receiver(topped_up)
def credit_what_was_paid(top_up_id: int, **_more: Any) -> None:
    credit_top_up.defer(top_up_id=top_up_id)


@receiver(plan_changed)
def tell_of_the_new_limit(workspace_id: int, **_more: Any) -> None:
    tell_of_plan.defer(workspace_id=workspace_id)
