"""How the OpenAPI document is drawn from the code: the error shape stands at every operation."""

import re
from typing import Any

from drf_spectacular.openapi import AutoSchema as SpectacularSchema


class AutoSchema(SpectacularSchema):
    """Adds the one error shape as every operation's ``default`` answer; ids are method and path, so they never collide."""

    def get_operation_id(self) -> str:
        return "_".join([self.method.lower(), *re.findall(r"[\w-]+", self.path)])

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None:
            operation["responses"].setdefault("default", _ERROR)
        return operation


_ERROR = {
    "description": "Refused; `error` is a code that never changes, `message` follows `Accept-Language`.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["success", "error", "message", "request_id"],
                "properties": {
                    "success": {"type": "boolean", "enum": [False]},
                    "error": {"type": "string"},
                    "message": {"type": "string"},
                    "fields": {
                        "type": "object",
                        "additionalProperties": {"type": "array", "items": {"type": "string"}},
                    },
                    "request_id": {"type": "string"},
                },
            }
        }
    },
}
