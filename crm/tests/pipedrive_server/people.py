"""The hand of somebody who works in Pipedrive's own pages."""

from typing import Any

from crm.tests.pipedrive_server import deals, fields, organizations, persons, pipelines, users
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.transport import Api
from crm.tests.pipedrive_server.world import By, Object, World

_MODULES: dict[str, Any] = {"person": persons, "organization": organizations, "deal": deals}


class Hand:
    def __init__(self, api: Api, user_id: int = 2) -> None:
        self._api = api
        self._user_id = user_id

    @property
    def _world(self) -> World:
        return self._api.world

    @property
    def _by(self) -> By:
        return By("app", self._user_id)


class Things(Hand):
    """Of one kind. Values are those of the API's bodies; ``email``, ``phone`` and custom fields by their names besides."""

    def __init__(self, api: Api, kind: str, user_id: int = 2) -> None:
        super().__init__(api, user_id)
        self._kind = kind

    def create(self, **values: Any) -> Object:
        with self._api.lock:
            return self._done(_MODULES[self._kind].create(self._world, self._body(values), self._by))

    def edit(self, id: int, **values: Any) -> Object:
        with self._api.lock:
            return self._done(_MODULES[self._kind].update(self._world, id, self._body(values), self._by))

    def delete(self, id: int) -> None:
        with self._api.lock:
            _MODULES[self._kind].delete(self._world, id, self._by)
            self._done({})

    def restore(self, id: int) -> Object:
        with self._api.lock:
            return self._done(_MODULES[self._kind].restore(self._world, id, self._by))

    def merge(self, id: int, *, into: int) -> Object:
        """Persons and organizations."""
        with self._api.lock:
            return self._done(_MODULES[self._kind].merge(self._world, id, into, self._by))

    def get(self, id: int) -> Object | None:
        """As it is now; None where it was deleted or never was."""
        found = self._world.tables[self._kind].get(id)
        return None if found is None or found["is_deleted"] else found

    def all(self) -> list[Object]:
        """That are not deleted, by id."""
        with self._api.lock:
            return self._world.living(self._kind)

    def _done(self, thing: Object) -> Object:
        self._api.hooks.note(self._world)
        return thing

    def _body(self, values: dict[str, Any]) -> Object:
        body = dict(values)
        for short, long in (("email", "emails"), ("phone", "phones")):
            if short in body:
                value = body.pop(short)
                body[long] = [{"value": value, "primary": True, "label": "work"}] if value else []
        if "custom_fields" in body:
            body["custom_fields"] = {self._code(name): value for name, value in body["custom_fields"].items()}
        return body

    def _code(self, name: str) -> str:
        known = fields.custom(self._world, self._kind)
        return next((code for code, field in known.items() if name in (code, field["field_name"])), name)


class Fields(Hand):
    def create(self, entity: str, name: str, type: str = "varchar", options: list[str] | None = None) -> Object:
        with self._api.lock:
            return fields.add(self._world, entity, name, type, options or [])

    def rename(self, entity: str, name: str, to: str) -> None:
        with self._api.lock:
            self.named(entity, name)["field_name"] = to

    def delete(self, entity: str, name: str) -> None:
        with self._api.lock:
            self._world.fields[entity].pop(self.named(entity, name)["field_code"])

    def add_option(self, entity: str, name: str, label: str) -> int:
        with self._api.lock:
            id = self._world.new_option_id()
            self.named(entity, name)["options"].append({"id": id, "label": label})
            return id

    def rename_option(self, entity: str, name: str, label: str, to: str) -> None:
        with self._api.lock:
            next(each for each in self.named(entity, name)["options"] if each["label"] == label)["label"] = to

    def delete_option(self, entity: str, name: str, label: str) -> None:
        with self._api.lock:
            field = self.named(entity, name)
            field["options"] = [each for each in field["options"] if each["label"] != label]

    def named(self, entity: str, name: str) -> Object:
        for field in self._world.fields[entity].values():
            if field["field_name"] == name and field["is_custom_field"]:
                return field
        raise LookupError(f"There is no custom field {name!r} of {entity}s.")


class Pipelines(Hand):
    def create(self, name: str, stages: list[str]) -> Object:
        with self._api.lock:
            made = pipelines.create(self._world, name, self._by, stages)
            self._api.hooks.note(self._world)
            return made

    def edit(self, id: int, **values: Any) -> None:
        with self._api.lock:
            self._world.change("pipeline", id, values, self._by)
            self._api.hooks.note(self._world)

    def delete(self, id: int) -> None:
        with self._api.lock:
            pipelines.delete(self._world, id, self._by)
            self._api.hooks.note(self._world)

    def all(self) -> list[Object]:
        return self._world.living("pipeline")


class Stages(Hand):
    def create(self, name: str, pipeline_id: int) -> Object:
        with self._api.lock:
            made = pipelines.create_stage(self._world, name, pipeline_id, self._by)
            self._api.hooks.note(self._world)
            return made

    def edit(self, id: int, **values: Any) -> None:
        with self._api.lock:
            self._world.change("stage", id, values, self._by)
            self._api.hooks.note(self._world)

    def delete(self, id: int) -> None:
        with self._api.lock:
            self._world.delete("stage", id, self._by)
            self._api.hooks.note(self._world)

    def all(self, pipeline_id: int | None = None) -> list[Object]:
        """In their order; of one pipeline, or of the first."""
        first = self._world.living("pipeline")[0]["id"]
        return pipelines.stages_of(self._world, pipeline_id or first)


class Users(Hand):
    def create(self, name: str, email: str) -> Object:
        with self._api.lock:
            return users.add(self._world, name, email)

    def edit(self, id: int, **values: Any) -> None:
        with self._api.lock:
            self._world.tables["user"][id].update(values)

    def all(self) -> list[Object]:
        return list(self._world.tables["user"].values())


class People(Things):
    """Its own acts are those on persons."""

    def __init__(self, api: Api, user_id: int = 2) -> None:
        super().__init__(api, "person", user_id)
        self.persons = self
        self.organizations = Things(api, "organization", user_id)
        self.deals = Things(api, "deal", user_id)
        self.fields = Fields(api, user_id)
        self.pipelines = Pipelines(api, user_id)
        self.stages = Stages(api, user_id)
        self.users = Users(api, user_id)

    def notes(self) -> list[Object]:
        return self._world.living("note")

    def act(self, method: str, path: str, body: Object) -> Any:
        """By curl: POST /people/persons, PATCH and DELETE /people/persons/3, GET of both, POST /people/persons/3/merge {"into": 4}."""
        _, _, plural, *rest = path.split("?")[0].split("/")
        things = {"persons": self, "organizations": self.organizations, "deals": self.deals}.get(plural)
        if things is None:
            raise Refused("There are persons, organizations and deals.", status=404)
        id = int(rest[0]) if rest and rest[0].isdigit() else 0
        match method, rest[1:]:
            case "GET", []:
                return things.get(id) if rest else things.all()
            case "POST", ["merge"]:
                return things.merge(id, into=body["into"])
            case "POST", []:
                return things.create(**body)
            case "PATCH", []:
                return things.edit(id, **body)
            case "DELETE", []:
                return things.delete(id)
        raise Refused("Unknown method.", status=404)
