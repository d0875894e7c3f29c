"""Documents and passages as JSON."""

from pathlib import PurePath
from typing import Any

from rest_framework import serializers

from accounts.serializers import TextField
from ai.knowledge import documents, searching
from ai.models import Document
from zevix.api.serializers import RequestSerializer
from zevix.api.uploads import Upload
from zevix.json_rows import json_row

_TITLE, _CATEGORY = 300, 100  # characters

DOCUMENT_ROW = json_row(
    Document,
    ("id", "title", "category", "kind", "is_internal", "size", "status", "progress", "failure", "chunk_count", "embedded_count",
     "user_id", "created_at"),
)  # fmt: skip


class CategoryField(TextField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, default="", max_length=_CATEGORY, **kwargs)


# Requests -------------------------------------------------------------------------------------------------------------------


class DocumentRequest(RequestSerializer):
    """A document as JSON."""

    title = TextField(max_length=_TITLE)
    text = TextField(trim_whitespace=False)
    category = CategoryField(help_text="such as `fabrics`; a search may be narrowed to one")
    kind = serializers.ChoiceField(
        choices=[kind for kind in Document.Kind.choices if kind[0] != Document.Kind.PDF],
        default=Document.Kind.TEXT,
        required=False,
    )
    is_internal = serializers.BooleanField(
        required=False, default=False, help_text="`true`: for the team; visitors' chats do not look into it"
    )

    @property
    def document(self) -> dict[str, Any]:
        """As `documents.add` takes it."""
        given = dict(self.validated_data)
        return {"data": given.pop("text").encode(), **given}


class FileRequest(RequestSerializer):
    """What may be said beside a file, as fields of the form."""

    title = TextField(required=False, max_length=_TITLE, help_text="else the name of the file")
    category = CategoryField()
    is_internal = serializers.BooleanField(required=False, default=False)

    def document(self, upload: Upload) -> dict[str, Any]:
        """As `documents.add` takes it. Raises ValidationFailed for a file of none of the kinds."""
        kind = documents.kind_of(upload.name)
        title = {"title": PurePath(upload.name).stem[:_TITLE]}
        return {"data": upload.file.read(), "kind": kind, **title, **self.validated_data}


class SearchRequest(RequestSerializer):
    query = TextField(max_length=searching.LONGEST)
    category = CategoryField()
    limit = serializers.IntegerField(required=False, default=8, min_value=1, max_value=50)


# Answers --------------------------------------------------------------------------------------------------------------------


class DocumentSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    title = serializers.CharField()
    category = serializers.CharField()
    kind = serializers.ChoiceField(choices=Document.Kind.choices)
    is_internal = serializers.BooleanField()
    size = serializers.IntegerField(help_text="bytes")
    status = serializers.ChoiceField(
        choices=Document.Status.choices, help_text="`ready`: its passages are found; `failed`: `failure` says why"
    )
    progress = serializers.IntegerField(help_text="percent")
    failure = serializers.CharField()
    chunk_count = serializers.IntegerField(help_text="passages that it was cut into")
    embedded_count = serializers.IntegerField(help_text="of these those that are found by their meaning, too")
    user_id = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class DocumentPage(serializers.Serializer):
    results = DocumentSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class PassageSerializer(serializers.Serializer):
    document_id = serializers.IntegerField()
    title = serializers.CharField()
    text = serializers.CharField()
    score = serializers.FloatField(help_text="it orders, and says no more")
    category = serializers.CharField()
    number = serializers.IntegerField(help_text="its place in the document, from 1")
    heading = serializers.CharField()
    page = serializers.IntegerField(allow_null=True, help_text="of a PDF")


class FoundSerializer(serializers.Serializer):
    results = PassageSerializer(many=True)
