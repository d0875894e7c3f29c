"""What the AI may look up: documents, handed in here too, and the passages that they were cut into."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.postgres.search import SearchQuery
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from accounts.admin import user_of
from ai.knowledge import documents
from ai.models import Chunk, Document
from leads.admin.acts import links
from leads.admin.merging import ActsOnRows
from zevix.admin_site import ReadOnly, TenantAdmin
from zevix.errors import TooLarge

_COLOURS = {"queued": "info", "running": "info", "ready": "success", "failed": "danger"}


class CategoryFilter(DropdownFilter):
    title, parameter_name = _("category"), "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        named = model_admin.get_queryset(request).exclude(category="").order_by("category")
        return [(name, name) for name in named.values_list("category", flat=True).distinct()[:100]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(category=value) if value else queryset


# Documents ------------------------------------------------------------------------------------------------------------------


class DocumentForm(forms.ModelForm):
    """A file, or a text and what it is."""

    upload = forms.FileField(
        required=False, label=_("File"), help_text=".txt, .md, .html, .pdf, .csv", widget=UnfoldAdminFileFieldWidget
    )
    text = forms.CharField(required=False, label=_("Or a text"), strip=False, widget=UnfoldAdminTextareaWidget)
    text_kind = forms.ChoiceField(
        required=False,
        label=_("Kind of the text"),
        choices=[kind for kind in Document.Kind.choices if kind[0] != Document.Kind.PDF],
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = Document
        fields = ["workspace", "title", "category", "is_internal"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if bool(cleaned.get("upload")) == bool(cleaned.get("text")):
            self.add_error("upload", _("Give either a file or a text."))
        elif (upload := cleaned.get("upload")) and upload.size > settings.DOCUMENT_MAX_BYTES:
            self.add_error("upload", TooLarge.message.format(limit=settings.DOCUMENT_MAX_BYTES))
        return cleaned

    @property
    def document(self) -> dict[str, Any]:
        """As `documents.add` takes it. Raises ValidationFailed for a file of none of the kinds."""
        given = {name: self.cleaned_data[name] for name in ("workspace", "title", "category", "is_internal")}
        if upload := self.cleaned_data.get("upload"):
            return {"data": upload.read(), "kind": documents.kind_of(upload.name), **given}
        kind = self.cleaned_data["text_kind"] or Document.Kind.TEXT
        return {"data": self.cleaned_data["text"].encode(), "kind": kind, **given}


@admin.register(Document)
class DocumentAdmin(ActsOnRows, TenantAdmin):
    icon = "menu_book"
    form = DocumentForm
    list_display = [
        "title",
        "category",
        "workspace",
        "kind",
        "coloured_status",
        "passages",
        "is_internal",
        "created_at",
    ]
    list_filter = [
        CategoryFilter, ("status", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter), ("is_internal", BooleanRadioFilter),
    ]  # fmt: skip
    list_select_related = ["workspace", "user"]
    search_fields = ["title", "category"]
    autocomplete_fields = ["workspace"]
    ordering = ["-id"]
    actions = ["cut_anew"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is None:
            return ["workspace", "title", ("category", "is_internal"), "upload", ("text", "text_kind")]
        return [
            ("title", "workspace"), ("category", "is_internal"), ("kind", "size"), ("coloured_status", "passages"), "failure",
            ("person", "created_at"), "see_also",
        ]  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What a document says, and to whom, is in all its passages: another one is handed in in its place."""
        return obj is None and super().has_change_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The documents alone: their passages, which go along, may be many thousands."""
        shown = [str(document) for document in objs]
        return shown, {self.opts.verbose_name_plural: len(shown)}, set(), []

    def save_model(self, request: HttpRequest, obj: Document, form: Any, change: bool) -> None:
        made = documents.add(**form.document, by=user_of(request))
        obj.__dict__.update(made.__dict__)

    @admin.action(description=_("Cut and embed anew"), permissions=["delete"])
    def cut_anew(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        count = self.act_on_each(request, queryset, documents.cut_anew)
        self.report(request, ngettext("{count} document waits to be cut.", "{count} documents wait to be cut.", count), count)  # fmt: skip

    @display(
        description=_("status"), ordering="status",
        label={Document.Status(value).label: colour for value, colour in _COLOURS.items()},
    )  # fmt: skip
    def coloured_status(self, document: Document) -> str:
        return document.get_status_display()

    @display(description=_("passages, with a vector"), ordering="chunk_count")
    def passages(self, document: Document) -> str:
        return f"{document.chunk_count:,} / {document.embedded_count:,}"

    @display(description=_("see also"))
    def see_also(self, document: Document) -> SafeString:
        return links((Chunk, f"document__id__exact={document.pk}"))


# Passages -------------------------------------------------------------------------------------------------------------------


@admin.register(Chunk)
class ChunkAdmin(ReadOnly, TenantAdmin):
    icon = "segment"
    list_display = ["shortly", "title", "number", "category", "workspace", "is_internal", "has_vector"]
    list_filter = [CategoryFilter, ("is_internal", BooleanRadioFilter)]
    list_select_related = ["workspace"]
    search_fields = ["text"]  # by words: see below
    fields = [
        ("title", "workspace"), ("number", "page"), ("category", "is_internal"), "heading", "text", "has_vector", "see_also",
    ]  # fmt: skip
    ordering = ["-document_id", "number"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("embedding", "search_vector")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """By its words, as a search of the AI's."""
        words = search_term.strip().replace("\0", "")
        if not words:
            return queryset, False
        asked = SearchQuery(words, config="english") | SearchQuery(words, config="german")
        return queryset.filter(search_vector=asked), False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return lookup == "document__id__exact" or super().lookup_allowed(lookup, value, request)

    @display(description=_("passage"))
    def shortly(self, chunk: Chunk) -> str:
        return str(chunk)

    @display(description=_("has a vector"), boolean=True)
    def has_vector(self, chunk: Chunk) -> bool:
        return bool(chunk.embedding_model)

    @display(description=_("see also"))
    def see_also(self, chunk: Chunk) -> SafeString:
        return links((Document, f"id__exact={chunk.document_id}"))
