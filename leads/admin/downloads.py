"""Exports as files, for whoever is signed in to the admin: it has sessions, the API has tokens."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from leads.downloads.downloading import FORMATS, Download
from leads.models import Export
from leads.views.downloads import sent
from zevix.admin_site import TenantAdmin
from zevix.errors import Refusal

_NAMES = {"csv": "CSV", "xlsx": "Excel", "json": "JSON"}


class WithDownloads(TenantAdmin):
    """A list of exports whose pages link to their files. Whoever may see an export may have them."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.download)
        return [path("<int:export_id>/download/<str:format>", view, name="leads_export_download"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # a hundred thousand ids in each row
        return super().get_queryset(request).defer("leads", "lists")

    def download(self, request: HttpRequest, export_id: int, format: str) -> HttpResponseBase:
        export = self.get_queryset(request).filter(pk=export_id).first()
        if export is None or format not in FORMATS:
            back: HttpResponseBase = self._get_obj_does_not_exist_redirect(request, self.opts, str(export_id))
            return back
        try:
            return sent(Download(export, format), request)
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:leads_export_change", args=[export_id]))

    @display(description=_("files"))
    def files(self, export: Export) -> SafeString | str:
        if not export.has_file:
            return ""
        named = [(reverse("admin:leads_export_download", args=[export.pk, kind]), _NAMES[kind]) for kind in FORMATS]
        return format_html_join(" · ", '<a class="text-link" href="{}">{}</a>', named)
