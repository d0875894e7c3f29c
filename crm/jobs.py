"""Jobs of the CRM: fetch, delegate, nothing else."""

from procrastinate import JobContext

from crm.models import Connection, SyncRun
from crm.pipedrive.accounts import resealing
from crm.pipedrive.events import inbox, sweeping
from crm.pipedrive.runs import draining, running, waking
from zevix import jobs


# cron with seconds: the floor of how promptly a change goes on its way
@jobs.periodic(cron="* * * * * */10")
@jobs.task(queue="crm", queueing_lock="pipedrive-look")
def look(timestamp: int) -> None:
    for connection_id in draining.due_connections():
        waking.wake(connection_id)


@jobs.task(queue="crm", pass_context=True)  # with a lock and a queueing lock of the connection
def drain(context: JobContext, connection_id: int) -> None:
    connection = Connection.objects.select_related("workspace").filter(pk=connection_id).first()
    if connection and draining.drain(connection, leave_off=context.should_abort):
        waking.wake(connection_id)


@jobs.periodic(cron="*/15 * * * *")
@jobs.task(queue="crm", queueing_lock="pipedrive-look-for-sweeps")
def look_for_sweeps(timestamp: int) -> None:
    for connection_id in sweeping.due_connections():
        sweep.configure(queueing_lock=f"pipedrive-sweep:{connection_id}").defer(connection_id=connection_id)


# without a retry: the next one begins where this one began
@jobs.task(queue="crm")
def sweep(connection_id: int) -> None:
    connection = Connection.objects.select_related("workspace").filter(pk=connection_id).first()
    if connection:
        sweeping.sweep_or_note(connection)


@jobs.task(queue="crm", pass_context=True)  # with a lock of the connection and the kind
def go_on(context: JobContext, run_id: int) -> None:
    run = SyncRun.objects.select_related("connection__workspace", "user").filter(pk=run_id).first()
    if run:  # else its workspace is gone
        running.go_on(run, leave_off=context.should_abort)


@jobs.periodic(cron="17 4 * * *")
@jobs.task(queue="housekeeping", queueing_lock="forget-pipedrive-events")
def forget(timestamp: int) -> None:
    inbox.forget_old()
    sweeping.forget_old()


@jobs.periodic(cron="31 4 * * *")
@jobs.task(queue="housekeeping", queueing_lock="reseal-pipedrive-tokens")
def reseal(timestamp: int) -> None:
    resealing.reseal_all()
