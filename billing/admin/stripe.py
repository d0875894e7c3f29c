"""Workspaces as Stripe's customers, and the events that came."""

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from billing.models import BillingAccount, StripeEvent
from zevix.admin_site import OperatorAdmin, ReadOnly


@admin.register(BillingAccount)
class BillingAccountAdmin(ReadOnly, OperatorAdmin):
    icon = "account_balance_wallet"
    list_display = ["workspace", "customer_id", "synced_at", "failed_at"]
    list_select_related = ["workspace"]
    search_fields = ["workspace__name", "customer_id"]
    fields = ["workspace", "customer_id", "open_session_id", "synced_at", "failed_at", "created_at"]
    ordering = ["-id"]


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnly, OperatorAdmin):
    icon = "webhook"
    list_display = ["type", "status", "customer_id", "sent_at", "received_at", "attempts"]
    list_filter = [("status", ChoicesDropdownFilter)]
    search_fields = ["event_id", "customer_id"]
    ordering = ["-id"]
