"""Telling how far an analysis is."""

from ai.models import AnalysisRun
from zevix import events


def tell(run: AnalysisRun) -> None:
    """Write the progress down, and record the event ``analysis.progress``; call it in a transaction."""
    seen = run.analyzed_count + run.skipped_count + run.failed_count
    run.progress = 100 if run.status == run.Status.COMPLETED else min(99, 100 * seen // max(1, run.matched_count))
    AnalysisRun.objects.filter(pk=run.pk).update(progress=run.progress)
    events.record(
        run.workspace_id,
        "analysis.progress",
        {
            "analysis_id": run.pk,
            "import_batch_id": run.batch_id,
            "status": run.status,
            "progress": run.progress,
            "matched": run.matched_count,
            "analyzed": run.analyzed_count,
            "changed": run.changed_count,
            "skipped": run.skipped_count,
            "failed": run.failed_count,
        },
    )
