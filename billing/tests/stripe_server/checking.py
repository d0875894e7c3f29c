"""Parameters as the package's own types publish them: decoded from the form, coerced, and refused where they do not fit."""

import re
import types
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Literal, NotRequired, Union, get_args, get_origin
from urllib.parse import parse_qsl

import typing_extensions
from stripe import RequestOptions
from stripe._stripe_context import StripeContext
from typing_extensions import is_typeddict

from billing.tests.stripe_server.refusals import Refused, lacks

_NAMES = {"StripeContext": StripeContext, "Mapping": Mapping}
_INTEGER = re.compile(r"-?\d{1,18}")


def decode(encoded: str) -> dict[str, Any]:
    """`a[b][0]=c` as {"a": {"b": {"0": "c"}}}; lists are made where the types say so."""
    decoded: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded)):
        *parents, last = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        node = decoded
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise Refused(f"Invalid {name}", param=name, is_saved=False)
        node[last or str(len(node))] = value
    return decoded


def checked(params: dict[str, Any], kind: Any) -> dict[str, Any]:
    """The parameters with the types that `kind`, a TypedDict of `stripe.params`, promises. Raises Refused."""
    return _dict(params, kind, "")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """The parameters that travel; the package's own options, such as a key, are no part of them."""
    # the package imports these names for type checkers alone
    hints = typing_extensions.get_type_hints(kind, localns=_NAMES, include_extras=True)
    options = RequestOptions.__annotations__ if RequestOptions in kind.__orig_bases__ else {}
    return {name: hint for name, hint in hints.items() if name not in options}


def _dict(value: Any, kind: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _misfit("hash", path)
    hints = _hints(kind)
    for name in value:
        if name not in hints:
            param = _joined(path, name)
            raise Refused(f"Received unknown parameter: {param}", code="parameter_unknown", param=param, is_saved=False)
    for name in kind.__required_keys__:
        if name not in value:
            raise lacks(_joined(path, name))
    return {name: _value(inner, hints[name], _joined(path, name)) for name, inner in value.items()}


def _value(value: Any, kind: Any, path: str) -> Any:
    origin = get_origin(kind)
    if origin is NotRequired:
        return _value(value, get_args(kind)[0], path)
    if origin in (Union, types.UnionType):
        return _one_of(value, _alternatives(kind), path)
    if is_typeddict(kind):
        return _dict(value, kind, path)
    if origin is list:
        return _list(value, get_args(kind)[0], path)
    if origin is Literal:
        return _literal(value, get_args(kind), path)
    if not isinstance(value, str):
        if origin is dict or _is_map(kind):
            return _map(value, path)
        raise _misfit("string", path)
    return _scalar(value, kind, path)


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """An open enumeration, `Literal['a', 'b'] | str`, takes what it lists: Stripe refuses other words."""
    found = get_args(kind)
    listed = [each for each in found if get_origin(each) is Literal and get_args(each) != ("",)]
    return tuple(each for each in found if each is not str) if listed else found


def _one_of(value: Any, kinds: tuple[Any, ...], path: str) -> Any:
    refusals = []
    for kind in kinds:
        try:
            return _value(value, kind, path)
        except Refused as refusal:
            refusals.append(refusal)
    raise max(refusals, key=lambda refusal: len(refusal.body["error"].get("param", "")))


def _list(value: Any, kind: Any, path: str) -> list[Any]:
    if not isinstance(value, dict) or not all(name.isdigit() for name in value):
        raise _misfit("array", path)
    return [_value(inner, kind, f"{path}[{name}]") for name, inner in value.items()]


def _is_map(kind: Any) -> bool:
    return "UntypedStripeObject" in str(kind) or get_origin(kind) is dict


def _map(value: Any, path: str) -> dict[str, Any]:
    for name, inner in value.items():
        if not isinstance(inner, str):
            raise _misfit("string", _joined(path, name))
    return dict(value)


def _literal(value: Any, words: tuple[Any, ...], path: str) -> Any:
    if value in words:
        return value
    listed = ", ".join(str(word) for word in words)
    raise Refused(f"Invalid {path}: must be one of {listed}", param=path, is_saved=False)


def _scalar(value: str, kind: Any, path: str) -> Any:
    if _is_map(kind):
        raise _misfit("hash", path)
    if value == "" and kind is not str:
        raise _empty(path)
    if kind is bool:
        if value not in ("true", "false"):
            raise Refused(f"Invalid boolean: {value}", code="parameter_invalid_boolean", param=path, is_saved=False)
        return value == "true"
    if kind is int:
        if not _INTEGER.fullmatch(value):
            raise Refused(f"Invalid integer: {value}", code="parameter_invalid_integer", param=path, is_saved=False)
        return int(value)
    if kind in (float, Decimal):
        try:
            return Decimal(value)
        except InvalidOperation:
            raise Refused(f"Invalid decimal: {value}", code="parameter_invalid_decimal", param=path, is_saved=False)
    return value


def _joined(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


def _misfit(wanted: str, path: str) -> Refused:
    return Refused(f"Invalid {wanted}", code=f"parameter_invalid_{wanted}", param=path, is_saved=False)


def _empty(path: str) -> Refused:
    told = (
        f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a parameter;"
        f" however '{path}' cannot be unset."
    )
    return Refused(told, code="parameter_invalid_empty", param=path, is_saved=False)
