"""What AI does when something happens in the apps below."""

from typing import Any

from django.dispatch import receiver

from ai.analysis import starting
from leads.models import ImportBatch
from leads.signals import imported, taking_back


@receiver(imported)
def analyze_what_was_imported(batch: ImportBatch, **_more: Any) -> bool:
    return starting.after_import(batch)


@receiver(taking_back)
def stop_analyzing_what_is_taken_back(act: str, workspace_id: int, **_more: Any) -> str | None:
    return starting.stop_after(act, workspace_id)
