"""Workspaces as Stripe's customers, and the events that came."""

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from billing import webhooks
from billing.converging import syncing
from billing.models import BillingAccount, StripeEvent
from zevix.admin import TypeFilter
from zevix.admin_site import OperatorAdmin, ReadOnly
from zevix.errors import Refusal


@admin.register(BillingAccount)
class BillingAccountAdmin(ReadOnly, OperatorAdmin):
    icon = "account_balance_wallet"
    list_display = ["workspace", "customer_id", "synced_at", "failed_at", "created_at"]
    list_filter = [("workspace", AutocompleteSelectFilter)]
    list_select_related = ["workspace"]
    search_fields = ["workspace__name", "customer_id"]
    fields = ["workspace", "customer_id", "open_session_id", ("synced_at", "failed_at"), "created_at"]
    ordering = ["-id"]
    actions = ["read_anew"]

    @admin.action(description=_("Read Stripe anew"))
    def read_anew(self, request: HttpRequest, queryset: QuerySet[BillingAccount]) -> None:
        read = sum(self._sync(account, request) for account in queryset.select_related("workspace"))
        sentence = ngettext("{count} workspace is as Stripe says.", "{count} workspaces are as Stripe says.", read)
        self.message_user(request, sentence.format(count=read), messages.SUCCESS if read else messages.WARNING)

    def _sync(self, account: BillingAccount, request: HttpRequest) -> bool:
        try:
            subscription = syncing.sync(account)
        except Refusal as refusal:
            self.message_user(request, f"{account.workspace}: {refusal}", messages.ERROR)
            return False
        if subscription and subscription.problem:
            self.message_user(request, f"{account.workspace}: {subscription.problem}", messages.WARNING)
        return True


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnly, OperatorAdmin):
    icon = "webhook"
    list_display = ["type", "state", "customer_id", "sent_at", "received_at", "attempts", "error"]
    list_filter = [("status", ChoicesDropdownFilter), TypeFilter]
    search_fields = ["event_id", "customer_id"]
    fields = [
        ("type", "event_id", "customer_id"), ("status", "attempts"), "error", ("sent_at", "received_at", "processed_at"),
        "content",
    ]  # fmt: skip
    readonly_fields = ["content"]
    ordering = ["-id"]
    actions = ["work_off_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StripeEvent]:
        rows: QuerySet[StripeEvent] = super().get_queryset(request)
        return rows.defer("payload")

    @display(
        description=_("status"),
        ordering="status",
        label={"received": "info", "done": "success", "ignored": None, "failed": "danger"},
    )
    def state(self, event: StripeEvent) -> Any:
        return event.status, event.get_status_display()

    @display(description=_("content"))
    def content(self, event: StripeEvent) -> SafeString:
        return format_html('<pre class="whitespace-pre-wrap">{}</pre>', json.dumps(event.payload, indent=2))

    @admin.action(description=_("Work off again"))
    def work_off_again(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> None:
        count = webhooks.queue_again(queryset)
        sentence = ngettext("{count} event is queued again.", "{count} events are queued again.", count)
        self.message_user(request, sentence.format(count=count), messages.SUCCESS)
