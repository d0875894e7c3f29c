"""The base of every request body: nothing unknown passes in silence."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request


class RequestSerializer(serializers.Serializer):
    """A request body. A field that is not declared is an error, not noise: a misspelt name would else be lost."""

    def to_internal_value(self, data: Any) -> Any:
        problems: dict[str, Any] = {}
        if isinstance(data, dict):
            problems = {str(name): [_("There is no such field.")] for name in data if name not in self.fields}
        try:
            fields = super().to_internal_value(data)
        except serializers.ValidationError as error:
            problems |= error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
        if problems:
            raise serializers.ValidationError(problems)
        return fields

    @classmethod
    def parse(cls, request: Request) -> dict[str, Any]:
        """The checked fields of the body. Raises REST framework's ValidationError."""
        serializer = cls(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data
