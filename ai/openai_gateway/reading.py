"""An answer as the server wrote it, turned into ours; whatever else it is, is no answer."""

from typing import Annotated, Any, NoReturn

from django.utils.translation import gettext as _
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ai.errors import AnswerRefused, AnswerUnusable, Unfinished
from ai.openai_gateway.insisting import VENDOR, slug
from ai.openai_gateway.questions import Answer, Question, ToolCall
from ai.prices import Tokens


def plain(text: str) -> str:
    """Without what PostgreSQL does not store."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


Text = Annotated[str, AfterValidator(plain)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")
    type: str
    text: Text | None = None
    refusal: Text | None = None


class _Item(BaseModel):
    model_config = ConfigDict(extra="allow")
    type: str
    content: list[_Part] | None = None
    call_id: Text | None = None
    name: Text | None = None
    arguments: Text | None = None


class _Cached(BaseModel):
    cached_tokens: Count | None = None


class _Usage(BaseModel):
    input_tokens: Count
    output_tokens: Count
    input_tokens_details: _Cached | None = None

    def as_tokens(self) -> Tokens:
        cached = (self.input_tokens_details and self.input_tokens_details.cached_tokens) or 0
        return Tokens(self.input_tokens, min(cached, self.input_tokens), self.output_tokens)


class _Failure(BaseModel):
    code: str | None = None
    reason: str | None = None


class _Response(BaseModel):
    status: str | None
    output: list[_Item]
    usage: _Usage | None = None
    error: _Failure | None = None
    incomplete_details: _Failure | None = None

    @property
    def parts(self) -> list[_Part]:
        return [part for item in self.output for part in item.content or []]


def answer(response: bytes | Any, question: Question, attempts: int) -> Answer:
    """The answer in a response, given as JSON or as what it says. Raises Unfinished, AnswerRefused, AnswerUnusable."""
    found = _taken(response, attempts)
    tokens = found.usage.as_tokens() if found.usage else None
    told: dict[str, Any] = {"vendor": VENDOR, "tokens": tokens, "attempts": attempts}
    if found.status != "completed":
        raise Unfinished(reason=_why(found), kind=_why(found), **told)
    if refusals := [part.refusal for part in found.parts if part.type == "refusal"]:
        raise AnswerRefused(reason=refusals[0] or "…", kind="refusal", **told)
    text = "".join(part.text or "" for part in found.parts if part.type == "output_text")
    calls = [
        ToolCall(item.call_id, item.name, item.arguments or "")
        for item in found.output
        if item.type == "function_call" and item.call_id and item.name
    ]
    items = [item.model_dump(mode="json", exclude_none=True) for item in found.output]
    form = None if question.form is None or calls else _form(text, question.form, told)
    return Answer(text, tokens, attempts, form, calls, items)


def _why(found: _Response) -> str:
    details = found.incomplete_details if found.status == "incomplete" else found.error
    return slug(details and (details.reason or details.code)) or slug(found.status) or "incomplete"


def _taken(response: Any, attempts: int) -> _Response:
    try:
        if isinstance(response, bytes):
            return _Response.model_validate_json(response)
        return _Response.model_validate(response)
    except ValidationError as error:
        unusable(error, {"vendor": VENDOR, "tokens": None, "attempts": attempts})


def _form(text: str, form: type[BaseModel], told: dict[str, Any]) -> BaseModel:
    try:
        # an escaped NUL is one as soon as it is read
        return form.model_validate_json(text.replace("\\u0000", ""))
    except ValidationError as error:
        unusable(error, told)


def unusable(error: ValidationError, told: dict[str, Any]) -> NoReturn:
    """Raise AnswerUnusable, without a word of the answer."""
    reason = _("{count} faults, the first: {first}").format(count=error.error_count(), first=error.errors()[0]["type"])
    raise AnswerUnusable(reason=reason, kind="form", **told) from None
