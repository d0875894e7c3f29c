"""Who works there."""

from crm.tests.pipedrive_server.clock import written
from crm.tests.pipedrive_server.world import Object, World


def add(world: World, name: str, email: str, *, is_active: bool = True) -> Object:
    now = written(world.clock.now()).replace("T", " ").rstrip("Z")
    user = {
        "id": world.new_id("user"),
        "name": name,
        "email": email,
        "default_currency": world.currency,
        "locale": "en_US",
        "lang": 1,
        "phone": None,
        "activated": True,
        "last_login": now,
        "created": now,
        "modified": None,
        "has_created_company": not world.tables["user"],
        "access": [{"app": "global", "admin": True, "permission_set_id": "aa111111-0000-4000-8000-000000000000"}],
        "active_flag": is_active,
        "timezone_name": "Europe/Berlin",
        "timezone_offset": "+02:00",
        "role_id": 1,
        "icon_url": None,
    }
    world.tables["user"][user["id"]] = user
    return user
