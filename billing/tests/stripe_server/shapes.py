"""What the package's classes promise of an object, and where one is another."""

from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from stripe._object_classes import get_object_class
from stripe._stripe_object import StripeObject


def misfits(thing: Any, kind: type | None = None, path: str = "") -> Iterator[str]:
    """The fields that an answer lacks, or that nobody knows, at any depth."""
    if isinstance(thing, list):
        for n, each in enumerate(thing):
            yield from misfits(each, kind, f"{path}[{n}]")
    elif isinstance(thing, dict):
        name = thing.get("object")
        if name == "list":
            yield from misfits(thing["data"], None, f"{path}.data")
            return
        if isinstance(name, str):  # an event's data has an object of that name
            kind, path = get_object_class("V1", name), path or name
        if kind is not None:
            yield from _misfits(thing, kind, path)


def _misfits(thing: dict[str, Any], kind: type, path: str) -> Iterator[str]:
    promised = {
        name: hint
        for each in kind.__mro__
        if issubclass(each, StripeObject) and each is not StripeObject
        for name, hint in vars(each).get("__annotations__", {}).items()
        if not name.startswith("_") and "ClassVar" not in str(hint)
    }
    yield from (f"{path}.{name}: unknown" for name in thing if name not in promised)
    for name, hint in promised.items():
        if thing.get(name) is None and not _may_lack(hint):
            yield f"{path}.{name}: lacking"
        yield from misfits(thing.get(name), getattr(kind, "_inner_class_types", {}).get(name), f"{path}.{name}")


def _may_lack(hint: Any) -> bool:
    return get_origin(hint) is Union and type(None) in get_args(hint)
