"""How OpenAI says no. Source: https://platform.openai.com/docs/guides/error-codes"""

from typing import Any


class Refused(Exception):
    def __init__(
        self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None, kind: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {
                "message": message,
                "type": kind or ("server_error" if status >= 500 else "invalid_request_error"),
                "param": param,
                "code": code,
            }
        }


def refused(code: str, message: str, param: str | None = None, **more: Any) -> Refused:
    return Refused(message, code=code, param=param, **more)
