"""The stand-in as tests hold it: OpenAI's API on loopback, and what it is to answer."""

import json
import threading
from collections.abc import Callable
from typing import Any

from ai.tests.openai_server.answers import Answer
from ai.tests.openai_server.refusals import Refused
from ai.tests.openai_server.transport import Api, Body, Failure, Handler, Script, Server

When = Callable[[Body], bool] | None
Said = str | dict[str, Any] | Callable[[Body], str | dict[str, Any]]


class OpenAIServer:
    """``when`` picks requests by their body. Replies last unless ``times`` says how often; faults happen once unless it does.

    What is told for so many times goes first, in the order told; of what lasts the latest counts.
    """

    key = "sk-stand-in-0123456789"

    def __init__(self) -> None:
        self._api = Api(self.key)
        self._server: Server | None = None
        self._port = 0
        self.up()

    # the wire

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def requests(self) -> list[Body]:
        """The bodies that asked for answers, also those that were refused."""
        return [body for path, body in self._api.requests if path == "/v1/responses"]

    @property
    def embedding_requests(self) -> list[Body]:
        return [body for path, body in self._api.requests if path == "/v1/embeddings"]

    @property
    def faults(self) -> list[str]:
        """Tracebacks of the stand-in itself, and of scripts that no OpenAI would follow; there must be none."""
        return self._api.faults

    def up(self) -> None:
        if self._server is not None:
            return
        self._server = Server(("127.0.0.1", self._port), Handler)
        self._server.api = self._api
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
        """Nothing asked, nothing to say, and nobody waiting."""
        self._api.waking.set()
        self.up()
        with self._api.lock:
            self._api.reset()

    def stop(self) -> None:
        self._api.waking.set()
        self.down()

    # what it says

    def reply(
        self, said: Said, *, when: When = None, times: int | None = None, tokens: tuple[int, int, int] | None = None
    ) -> None:
        """Answer with a text, an object of the form asked for, or what a function of the body says. ``tokens``: in, of these cached, out."""

        def act(body: Body) -> Answer:
            words = said(body) if callable(said) else said
            return Answer(text=words if isinstance(words, str) else _fitting(words, body), tokens=tokens)

        self._script(act, when, times)

    def tool_call(self, name: str, arguments: dict[str, Any] | str, *, when: When = None, times: int = 1) -> None:
        """Want a tool used. Arguments as a text go out as they are, broken or not."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        self._script(lambda body: Answer(call=(name, text)), when, times)

    def refuse(self, text: str, *, when: When = None, times: int = 1) -> None:
        """Decline to answer, in these words."""
        self._script(lambda body: Answer(refusal=text), when, times)

    # faults

    def fail(
        self,
        status: int,
        *,
        code: str | None = None,
        message: str = "Something went wrong.",
        retry_after: float | str | None = None,
        when: When = None,
        times: int = 1,
    ) -> None:
        """Answer with an HTTP error, having done nothing; also to requests for embeddings."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        body = json.dumps(Refused(message, status=status, code=code).body).encode()
        self._script(lambda _: Failure(status, body, headers), when, times)

    def incomplete(
        self, reason: str = "max_output_tokens", *, text: str = "The first half", when: When = None, times: int = 1
    ) -> None:
        """Stop in the midst of the answer; ``content_filter`` is the other reason."""
        self._script(lambda body: Answer(text=text, incomplete=reason), when, times)

    def failed(self, message: str, *, when: When = None, times: int = 1) -> None:
        """Take the request, and then say that it failed."""
        self._script(lambda body: Answer(failure=message), when, times)

    def error_event(self, message: str, *, text: str = "The first half", when: When = None, times: int = 1) -> None:
        """End a stream by an event of the type ``error``."""
        self._script(lambda body: Answer(text=text, error_event=message), when, times)

    def cut_after(
        self,
        deltas: int,
        *,
        cleanly: bool = False,
        text: str = "One two three four five.",
        when: When = None,
        times: int = 1,
    ) -> None:
        """Hang up after so many pieces of a stream (or end it ``cleanly``, without the end); else without any answer."""
        self._script(lambda body: Answer(text=text, cut_after=deltas, is_cut_cleanly=cleanly), when, times)

    def malformed(self, text: str = '{"half": ', *, when: When = None, times: int = 1) -> None:
        """A complete answer whose text is not of the form asked for."""
        self._script(lambda body: Answer(text=text), when, times)

    def garbage(
        self,
        text: str = "<html>Welcome to the hotel's network</html>",
        *,
        kind: str = "text/html",
        when: When = None,
        times: int = 1,
    ) -> None:
        """200, and something that is no answer of the API at all; also to requests for embeddings."""
        self._script(lambda _: Failure(200, text.encode(), kind=kind), when, times)

    def slow(self, seconds: float = 0, *, between_deltas: float = 0) -> None:
        """Wait so long before each answer, and between the pieces of a stream; 0 ends it, also for those who wait."""
        self._api.delay, self._api.delay_between_deltas = seconds, between_deltas
        self._api.waking.set()
        self._api.waking = threading.Event()

    def _script(self, act: Callable[[Body], Answer | Failure], when: When, times: int | None) -> None:
        with self._api.lock:
            self._api.scripts.append(Script(act, when, times))


def _fitting(words: dict[str, Any], body: Body) -> str:
    form = body.get("text", {}).get("format", {})
    if form.get("strict") and set(words) != set(form["schema"]["required"]):
        raise AssertionError(f"OpenAI would never answer {sorted(words)} for this schema: that is `malformed`.")
    return json.dumps(words, ensure_ascii=False)
