"""What visitors and members talked about with the AI."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from accounts.models import Workspace
from ai.chat import visitors
from ai.models import ChatMessage, ChatSession
from leads.models import Lead
from zevix.admin_site import ReadOnly, TenantAdmin, managed_workspaces

_SEARCHED = 2_000  # of the latest chats, the texts of which are looked through


class WhoFilter(DropdownFilter):
    title, parameter_name = _("who"), "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("visitors", _("Visitors")), ("members", _("Members"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("visitors", "members"):
            return queryset
        return queryset.filter(user__isnull=self.value() == "visitors")


@admin.register(ChatSession)
class ChatSessionAdmin(ReadOnly, TenantAdmin):
    """To be read, and deleted where somebody asks for it."""

    icon = "forum"
    list_before_template = "ai/websites.html"
    list_display = ["last_at", "who", "begins", "last_seq", "about", "workspace"]
    list_filter = [WhoFilter]
    list_select_related = ["workspace", "user"]
    search_fields = ["user__email", "visitor_id"]
    search_help_text = _("E-mail addresses, visitors, and what was said in the latest chats")
    fields = [
        "workspace", ("who", "about", "language"), ("created_at", "last_at", "last_seq"), "summary", "conversation",
    ]  # fmt: skip
    ordering = ["-last_at", "-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        first = ChatMessage.objects.filter(session=OuterRef("pk"), seq=1).values("text")[:1]
        lead = Lead.objects.filter(pk=OuterRef("lead_id"), workspace=OuterRef("workspace_id"))
        return super().get_queryset(request).annotate(first=first, has_lead=Exists(lead))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if not search_term.strip():
            return found, may_repeat
        latest = queryset.order_by("-last_at").values("pk")[:_SEARCHED]
        said = ChatMessage.objects.filter(session__in=latest, text__icontains=search_term.strip())
        return queryset.filter(Q(pk__in=found.values("pk")) | Q(pk__in=said.values("session"))), may_repeat

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return TenantAdmin.has_view_permission(self, request, obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        mine = Workspace.objects.filter(pk__in=managed_workspaces(request))
        websites = [
            {"workspace": one, "secret": visitors.secret_of(one), "snippet": visitors.snippet(one)} for one in mine
        ]
        answer: HttpResponse = super().changelist_view(request, {**(extra_context or {}), "websites": websites})
        return answer

    @display(description=_("who"))
    def who(self, chat: ChatSession) -> str:
        if chat.user:
            return chat.user.email
        told = [chat.visitor_id, *chat.visitor.values()]
        return ", ".join([str(_("Visitor")), *filter(None, told)])

    @display(description=_("begins"))
    def begins(self, chat: Any) -> str:
        return (chat.first or "")[:80]

    @display(description=_("lead"))
    def about(self, chat: Any) -> str | SafeString:
        if not chat.has_lead:
            return ""
        url = reverse("admin:leads_lead_change", args=[chat.lead_id])
        return format_html('<a class="text-link" href="{}">#{}</a>', url, chat.lead_id)

    @display(description=_("conversation"))
    def conversation(self, chat: ChatSession) -> SafeString:
        messages = ChatMessage.objects.filter(session=chat).order_by("seq")
        return format_html_join("", '<div class="mb-4"><p><b>{}</b> · {}</p><p>{}</p>{}{}</div>', map(_told, messages))


def _told(message: ChatMessage) -> tuple[Any, ...]:
    said = message.get_role_display()
    role = f"{said} ({_('broken off')})" if message.is_broken_off else said
    time = localize(localtime(message.created_at))
    text = format_html_join("", "{}<br>", ([line] for line in message.text.split("\n")))
    return role, time, text, _sources(message), _tools(message)


def _sources(message: ChatMessage) -> SafeString:
    rows = ((source["number"], source["title"], source["passage"]) for source in message.sources)
    return format_html_join("", '<p class="text-font-subtle-light">[{}] {} · {}</p>', rows)


def _tools(message: ChatMessage) -> SafeString:
    rows = ((tool["name"], tool["arguments"], tool["result"]) for tool in message.tools)
    return format_html_join("", '<p class="text-font-subtle-light">{}: {} → {}</p>', rows)
