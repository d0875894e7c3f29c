"""Whether a body or a query is one that Pipedrive would take. Nothing is converted: "10" is no number."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from crm.tests.pipedrive_server.refusals import Refused, misfit

Kind = Callable[[Any, str], None]
"""Raises Refused where the value, named as the second argument says, is none of this kind."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_BIGGEST = 2**63 - 1


def text(longest: int = 65_535, shortest: int = 0) -> Kind:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, str):
            raise misfit(where, "string", value)
        if len(value) > longest:
            raise Refused(f"Validation failed: {where}: String must contain at most {longest} character(s)")
        if len(value.strip()) < shortest:
            raise Refused(f"Validation failed: {where}: String must contain at least {shortest} character(s)")

    return check


def integer(value: Any, where: str) -> None:
    if type(value) is not int:
        raise misfit(where, "number", value)
    if not -_BIGGEST <= value <= _BIGGEST:
        raise Refused(f"Validation failed: {where}: Number is out of range")


def number(value: Any, where: str) -> None:
    if type(value) not in (int, float):
        raise misfit(where, "number", value)
    if not -1e15 <= value <= 1e15:
        raise Refused(f"Validation failed: {where}: Number is out of range")


def boolean(value: Any, where: str) -> None:
    if type(value) is not bool:
        raise misfit(where, "boolean", value)


def day(value: Any, where: str) -> None:
    text()(value, where)
    try:
        if len(value) != 10:
            raise ValueError
        date.fromisoformat(value)
    except ValueError:
        raise Refused(f"Validation failed: {where}: Invalid date")


def moment(value: Any, where: str) -> None:
    text()(value, where)
    try:
        if not _MOMENT.fullmatch(value):
            raise ValueError
        datetime.fromisoformat(value)
    except ValueError:
        raise Refused(f"Validation failed: {where}: Invalid datetime, RFC 3339 is expected")


def one_of(*values: Any) -> Kind:
    def check(value: Any, where: str) -> None:
        if not any(type(value) is type(each) and value == each for each in values):
            raise Refused(f"Validation failed: {where}: Invalid enum value. Expected {' | '.join(map(str, values))}")

    return check


def nullable(kind: Kind) -> Kind:
    def check(value: Any, where: str) -> None:
        if value is not None:
            kind(value, where)

    return check


def list_of(kind: Kind) -> Kind:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise misfit(where, "array", value)
        for index, each in enumerate(value):
            kind(each, f"{where}.{index}")

    return check


def an_object(shape: Mapping[str, Kind], required: Iterable[str] = ()) -> Kind:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise misfit(where or "body", "object", value)
        for name in value:
            if name not in shape:
                raise Refused(f"Validation failed: Unrecognized key(s) in {where or 'body'}: '{name}'")
        for name in required:
            if value.get(name) is None:
                raise Refused(f"Validation failed: {_under(where, name)}: Required")
        for name, inner in value.items():
            shape[name](inner, _under(where, name))

    return check


def _under(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


# what a query says is text; these read it


def query_integer(given: str, where: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", given):
        raise misfit(where, "number", given)
    return int(given)


def query_boolean(given: str, where: str) -> bool:
    if given not in ("true", "false"):
        raise Refused(f"Validation failed: {where}: Expected true or false")
    return given == "true"


def query_moment(given: str, where: str) -> datetime:
    moment(given, where)
    return datetime.fromisoformat(given)


def query_text(given: str, where: str) -> str:
    return given


def query_integers(given: str, where: str) -> list[int]:
    numbers = [query_integer(each, where) for each in given.split(",")]
    if len(numbers) > 100:
        raise Refused(f"Validation failed: {where}: at most 100 ids")
    return numbers


def query_some_of(*known: str) -> Callable[[str, str], list[str]]:
    def read(given: str, where: str) -> list[str]:
        for each in given.split(","):
            if each not in known:
                raise Refused(f"Validation failed: {where}: Invalid enum value '{each}'")
        return given.split(",")

    return read


def query_one_of(*known: str) -> Callable[[str, str], str]:
    def read(given: str, where: str) -> str:
        one_of(*known)(given, where)
        return given

    return read
