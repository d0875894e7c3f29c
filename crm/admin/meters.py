"""What was asked of each account today, and how much may be."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from crm.models import TokenMeter
from zevix.admin_site import TenantAdmin


@admin.register(TokenMeter)
class TokenMeterAdmin(TenantAdmin):
    icon = "speed"
    list_display = ["connection", "workspace", "today", "burst_limit", "search_limit", "closed_until"]
    list_select_related = ["workspace", "connection__workspace"]
    search_fields = ["workspace__name", "connection__company_name", "connection__domain"]
    fields = [("workspace", "connection"), "today", "daily_limit", ("burst_limit", "search_limit"), "closed_until"]
    readonly_fields = ["connection", "today", "closed_until"]
    ordering = ["-id"]

    @display(description=_("tokens today"))
    def today(self, meter: TokenMeter) -> SafeString:
        return format_html(
            '<progress value="{}" max="{}"></progress> {} / {}',
            meter.spent_today,
            meter.daily_limit,
            f"{meter.spent_today:,}",
            f"{meter.daily_limit:,}",
        )

    # it comes and goes with its connection
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: TokenMeter | None = None) -> bool:
        return False
