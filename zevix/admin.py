"""What only the operator looks into: events, answers kept for repetition, jobs, failed sign-ins."""

from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import BigIntegerField, Case, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateEvent, ProcrastinateJob
from procrastinate.exceptions import ProcrastinateException
from procrastinate.utils import utcnow
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, DropdownFilter, TextFilter
from unfold.decorators import display

from zevix.admin_site import OperatorAdmin, ReadOnly, is_operator
from zevix.models import Event, IdempotentAnswer

# roles are given per workspace; Django's groups would grant nothing
admin.site.unregister(Group)
# switched off in the settings
admin.site.unregister([AccessLog, AccessFailureLog])
# they come without the looks and the rules of this admin
admin.site.unregister([AccessAttempt, ProcrastinateJob])


class StartsWithFilter(TextFilter):
    """Rows whose field begins with what is typed. A subclass names the field in ``parameter_name``."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{f"{self.parameter_name}__startswith": self.value()}) if self.value() else queryset


class TypeFilter(StartsWithFilter):
    title, parameter_name = _("type"), "type"


class TaskFilter(StartsWithFilter):
    title, parameter_name = _("task"), "task_name"


class QueueFilter(StartsWithFilter):
    title, parameter_name = _("queue"), "queue_name"


@admin.register(Event)
class EventAdmin(ReadOnly, OperatorAdmin):
    icon = "history"
    list_display = ["type", "seq", "workspace", "data", "created_at"]
    list_filter = [TypeFilter, ("workspace", AutocompleteSelectFilter)]
    list_select_related = ["workspace"]
    fields = ["type", "seq", "workspace", "data", "created_at"]
    ordering = ["-id"]


@admin.register(IdempotentAnswer)
class IdempotentAnswerAdmin(ReadOnly, OperatorAdmin):
    icon = "repeat"
    list_display = ["key", "status", "workspace", "created_at"]
    list_filter = [("workspace", AutocompleteSelectFilter)]
    list_select_related = ["workspace"]
    search_fields = ["key__startswith"]
    fields = ["key", "status", "workspace", "created_at"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[IdempotentAnswer]:
        return super().get_queryset(request).defer("body", "fingerprint")


class LockedOutFilter(DropdownFilter):
    title, parameter_name = _("locked out"), "locked_out"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> QuerySet[AccessAttempt]:
        locked = {"failures_since_start__gte": settings.AXES_FAILURE_LIMIT}
        match self.value():
            case "yes":
                return queryset.filter(**locked)
            case "no":
                return queryset.exclude(**locked)
        return queryset


@admin.register(AccessAttempt)
class AccessAttemptAdmin(OperatorAdmin):
    """Failed sign-ins. Deleting one lets the account try again from that address."""

    icon = "lock_clock"
    list_display = ["account", "ip_address", "failures_since_start", "locked_out", "path_info", "attempt_time"]
    list_filter = [LockedOutFilter]
    search_fields = ["ip_address", "username"]
    fields = readonly_fields = [
        "account", "ip_address", "failures_since_start", "locked_out", "path_info", "user_agent", "attempt_time",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessAttempt]:
        user_id = Case(When(username__regex=r"^[0-9]{1,18}$", then=Cast("username", BigIntegerField())))
        email = get_user_model().objects.filter(pk=OuterRef("user_id")).values("email")
        return super().get_queryset(request).annotate(user_id=user_id).annotate(email=Subquery(email))

    @display(description=_("account"), ordering="username")
    def account(self, attempt: Any) -> str:
        return attempt.email or attempt.username

    @display(description=_("locked out"), boolean=True)
    def locked_out(self, attempt: AccessAttempt) -> bool:
        return attempt.failures_since_start >= settings.AXES_FAILURE_LIMIT

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class JobEvents(ReadOnly, TabularInline):
    model = ProcrastinateEvent
    fields = readonly_fields = ["type", "at"]
    ordering = ["id"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)


@admin.register(ProcrastinateJob)
class JobAdmin(ReadOnly, OperatorAdmin):
    icon = "manufacturing"
    list_display = ["task_name", "queue_name", "state", "attempts", "scheduled_at", "args"]
    list_filter = [("status", ChoicesDropdownFilter), TaskFilter, QueueFilter]
    fields = ["task_name", "queue_name", "state", "attempts", "scheduled_at", "priority", "lock", "args"]
    ordering = ["-id"]
    inlines = [JobEvents]
    actions = ["retry", "cancel"]

    @display(
        description=_("status"),
        ordering="status",
        label={"todo": "info", "doing": "warning", "succeeded": "success", "failed": "danger"},
    )
    def state(self, job: ProcrastinateJob) -> str:
        return job.status

    @admin.action(description=_("Try the failed ones again"))
    def retry(self, request: HttpRequest, queryset: QuerySet[ProcrastinateJob]) -> None:
        again = [job for job in queryset.filter(status="failed") if self._retry(job, request)]
        self._report(
            request, ngettext("{count} job is queued again.", "{count} jobs are queued again.", len(again)), again
        )

    @admin.action(description=_("Cancel those that wait"))
    def cancel(self, request: HttpRequest, queryset: QuerySet[ProcrastinateJob]) -> None:
        waiting = [job for job in queryset.filter(status="todo") if app.job_manager.cancel_job_by_id(job.id)]
        self._report(
            request, ngettext("{count} job is cancelled.", "{count} jobs are cancelled.", len(waiting)), waiting
        )

    def _retry(self, job: ProcrastinateJob, request: HttpRequest) -> bool:
        try:
            with transaction.atomic():
                app.job_manager.retry_job_by_id(job.id, utcnow(), job.priority, job.queue_name, job.lock)
        except ProcrastinateException as error:  # another of its kind is queued already
            self.message_user(request, f"#{job.id}: {error}", messages.ERROR)
            return False
        return True

    def _report(self, request: HttpRequest, sentence: str, jobs: list[ProcrastinateJob]) -> None:
        self.message_user(request, sentence.format(count=len(jobs)), messages.SUCCESS if jobs else messages.WARNING)
