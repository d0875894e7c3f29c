"""How Pipedrive says no. The status counts; the bodies of v1 and v2 are of different forms."""

from typing import Any


class Refused(Exception):
    def __init__(self, message: str, *, status: int = 400, code: str = "", **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code or {404: "ERR_NOT_FOUND", 400: "ERR_SCHEMA_VALIDATION_FAILED"}.get(status, "ERR_UNKNOWN")
        self.more = more

    @property
    def body(self) -> dict[str, Any]:
        return {"success": False, "error": str(self), "code": self.code, "error_info": _INFO, **self.more}


_INFO = "Please check developers.pipedrive.com for more information about Pipedrive API."


def misfit(where: str, expected: str, given: Any) -> Refused:
    return Refused(f"Validation failed: {where}: Expected {expected}, received {_type(given)}")


def no_such(kind: str, id: Any) -> Refused:
    return Refused(f"{kind.capitalize()} {id} not found", status=404)


def _type(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
