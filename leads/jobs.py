"""Jobs of leads: fetch, delegate, nothing else."""

from leads import undoing
from leads.models import Undo
from zevix import jobs


@jobs.task(queue="imports", retry=jobs.BACKOFF, lock="undo")
def go_on_undoing(undo_id: int) -> None:
    undo = Undo.objects.filter(pk=undo_id).first()
    if undo:
        undoing.finish(undo)
