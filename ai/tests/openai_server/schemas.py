"""What a schema must be for ``strict``. Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas"""

from typing import Any

from ai.tests.openai_server.refusals import Refused, refused

_NOT_PERMITTED = {
    "default", "allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties",
    "propertyNames", "unevaluatedProperties", "minProperties", "maxProperties", "minLength", "maxLength", "uniqueItems", "contains",
}  # fmt: skip


def check_strict(schema: dict[str, Any], name: str, param: str) -> None:
    if schema.get("type") != "object" or "anyOf" in schema:
        raise _invalid(name, "()", "schema must be an object, and no union, at its root", param)
    _check(schema, name, (), param)


def _check(schema: Any, name: str, path: tuple[str, ...], param: str) -> None:
    if not isinstance(schema, dict):
        raise _invalid(name, str(path), "a schema must be an object", param)
    if bad := _NOT_PERMITTED & set(schema):
        raise _invalid(name, str(path), f"'{min(bad)}' is not permitted", param)
    if "$ref" in schema and len(schema) > 1:
        raise _invalid(name, str(path), "$ref cannot have keywords beside it", param)
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            raise _invalid(name, str(path), "'additionalProperties' is required to be supplied and to be false", param)
        if set(schema.get("required", [])) != set(schema.get("properties", {})):
            raise _invalid(name, str(path), "'required' must be an array including every key in properties", param)
    for keyword in ("properties", "$defs", "definitions"):
        for key, inner in schema.get(keyword, {}).items():
            _check(inner, name, (*path, keyword, key), param)
    for number, inner in enumerate(schema.get("anyOf", [])):
        _check(inner, name, (*path, "anyOf", str(number)), param)
    if "items" in schema:
        _check(schema["items"], name, (*path, "items"), param)


def _invalid(name: str, path: str, why: str, param: str) -> Refused:
    return refused("invalid_json_schema", f"Invalid schema '{name}': In context={path}, {why}.", param)
