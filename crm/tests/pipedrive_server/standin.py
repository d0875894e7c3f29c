"""The stand-in as tests hold it: Pipedrive's API on loopback, the people who work there, its webhooks, and what is to go wrong."""

import json
import threading
from collections.abc import Callable
from random import Random

from crm.tests.pipedrive_server import hooks
from crm.tests.pipedrive_server.clock import Clock
from crm.tests.pipedrive_server.faults import KINDS, Fault
from crm.tests.pipedrive_server.hooks import Delivery, Picks, Post
from crm.tests.pipedrive_server.limits import Limits
from crm.tests.pipedrive_server.people import People
from crm.tests.pipedrive_server.transport import Api, Asked, Handler, Request, Server
from crm.tests.pipedrive_server.world import Change, Object, World


class PipedriveServer:
    """An account with two users, one pipeline of five stages, and a custom field of each kind. `limits` may be set, `clock` advanced."""

    def __init__(self, port: int = 0) -> None:
        self._api = Api()
        self._port = port
        self._server: Server | None = None
        self._delivering: threading.Event | None = None
        self.up()

    # the wire

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def token(self) -> str:
        return self._api.token

    @token.setter
    def token(self, token: str) -> None:
        """Another one: the old is dead at once."""
        self._api.token = token

    def up(self) -> None:
        if self._server is not None:
            return
        self._server = Server(("127.0.0.1", self._port), Handler)
        self._server.api = self._api
        self._server.human = lambda method, path, raw: self.people.act(method, path, json.loads(raw or b"{}"))
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def down(self) -> None:
        """Refuse connections until `up`."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._server = None

    def reset(self) -> None:
        """A new account, nothing asked, nothing to go wrong, and nobody waiting."""
        self._stop_delivering()
        self.up()
        with self._api.lock:
            self._api.reset()

    def stop(self) -> None:
        self._stop_delivering()
        self._api.waking.set()
        self.down()

    # what is there

    @property
    def world(self) -> World:
        """To look at; who changes something is `people`."""
        return self._api.world

    @property
    def people(self) -> People:
        """Ben, user 2. Another user's hand: `people_as`."""
        return People(self._api)

    def people_as(self, user_id: int) -> People:
        return People(self._api, user_id)

    @property
    def clock(self) -> Clock:
        return self._api.clock

    def age(self, seconds: float) -> None:
        """As if all that happened so far had been so much earlier: for time that passes on both sides, while clocks stay right."""
        self._api.arrive()
        with self._api.lock:
            self._api.world.age(seconds)
            self._api.hooks.age(seconds)
            self._api.limits.age(seconds)

    def watch(self, watcher: Callable[[Change], None]) -> None:
        """Have each change told as it happens, until `reset`."""
        self._api.world.watchers.append(watcher)

    def key(self, entity: str, name: str) -> str:
        """The code of a custom field: ``server.key("person", "Nickname")``."""
        return str(self.people.fields.named(entity, name)["field_code"])

    def option(self, entity: str, name: str, label: str) -> int:
        options = self.people.fields.named(entity, name)["options"]
        return next(int(each["id"]) for each in options if each["label"] == label)

    # what was asked

    @property
    def requests(self) -> list[Request]:
        """Method, path and cost of each, also of those that were refused."""
        return self._api.requests

    @property
    def log(self) -> list[Asked]:
        """The same in full: query, body, and the status answered (0: the caller heard nothing)."""
        return self._api.log

    @property
    def tokens_spent(self) -> int:
        return self._api.limits.spent

    @property
    def broken(self) -> list[str]:
        """Tracebacks of the stand-in itself; there must be none."""
        return self._api.broken

    # how it behaves

    @property
    def limits(self) -> Limits:
        """``burst`` and ``searches`` in two seconds, ``daily`` tokens; ``refused`` counts what went beyond them."""
        return self._api.limits

    def search_lags(self, seconds: float) -> None:
        """The search knows only what was so long ago."""
        self._api.search_lag = seconds

    def slow(self, seconds: float) -> None:
        """Wait so long before each answer."""
        self._api.latency = seconds

    def hang_for(self, seconds: float) -> None:
        """How long a request that is to time out is held, before its connection ends; at first shorter than any caller waits."""
        self._api.hang_seconds = seconds

    def tell_limits(self, tells: bool) -> None:
        """Whether answers carry the headers about limits."""
        self._api.tells_limits = tells

    def fail(self, *, how: str, on: str = "*", times: int = 1, skip: int = 0) -> None:
        """Let requests go wrong: ``on="POST /api/v2/persons"``, or with asterisks. The first ``skip`` that fit are let go.

        With the effect there: ``timeout_after``, ``cut``, ``500_after``, ``504_after``, and ``kill`` (then calls what `kills` named).
        With an effect later, when `age` lets time pass: ``late``. Without: ``timeout_before``, ``cut_before``, ``500``, ``503``, ``503_html``, ``429``, ``429_bare``, ``401``, ``402``, ``403``,
        ``403_html``, ``feature_capping``, ``garbage`` and ``no_json`` (200, and not the API), ``wrong_form`` (JSON of another form).
        """
        if how not in KINDS:
            raise ValueError(f"{how!r} is none of {sorted(KINDS)}")
        with self._api.lock:
            self._api.faults.append(Fault(how, on, times, skip))

    def heal(self, how: str = "") -> None:
        """Nothing goes wrong any more, or not this."""
        with self._api.lock:
            self._api.faults = [fault for fault in self._api.faults if how not in ("", fault.how)]

    def kills(self, act: Callable[[], None]) -> None:
        """What a ``kill`` does, once the request has had its effect and before anybody hears of it."""
        self._api.kill = act

    # webhooks

    @property
    def webhooks(self) -> list[Object]:
        return list(self._api.world.tables["webhook"].values())

    def lose_webhooks(self) -> None:
        """As after three days without a success: they are no more."""
        with self._api.lock:
            self._api.world.tables["webhook"].clear()

    @property
    def waiting(self) -> list[Delivery]:
        """Deliveries that are still to be posted, those to be tried again too."""
        return self._api.hooks.waiting

    @property
    def delivered(self) -> list[Delivery]:
        return self._api.hooks.done

    def deliver(
        self,
        *,
        post: Post = hooks.over_http,
        lose: Picks = False,
        double: Picks = False,
        shuffle: Random | None = None,
    ) -> list[Delivery]:
        """Post what is due: to the webhook's URL, or by ``post`` (`hooks.through(client)` for Django's test client).

        ``lose`` and ``double`` pick deliveries, ``shuffle`` mixes them. Answers what was tried, each with its ``status``.
        """
        return self._api.hooks.deliver(post, lose=lose, double=double, shuffle=shuffle)

    def deliver_in_background(self) -> None:
        """From now on each at once, until `reset` or `stop`."""
        self._stop_delivering()
        stopping = self._delivering = threading.Event()

        def run() -> None:
            while not stopping.wait(0.05):
                self.deliver()

        threading.Thread(target=run, daemon=True).start()

    def _stop_delivering(self) -> None:
        if self._delivering is not None:
            self._delivering.set()
            self._delivering = None
