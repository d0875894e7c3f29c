"""What a prompt can be for, and what its texts may name."""

from dataclasses import dataclass

# what others wrote: the text gets only the name under which the fenced data has it
DATA = ("lead", "messages", "passages")


@dataclass(frozen=True)
class Variables:
    """What a text must name, and what it may."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        return self.required + self.optional


_OF_ACTIONS = {
    "chat": Variables(("messages",), ("lead", "tone", "language", "today")),
    "generate_message": Variables(("lead", "channel", "tone"), ("messages", "language", "today")),
    "follow_up": Variables(("lead", "channel", "tone"), ("messages", "language", "today")),
    "analyze_lead": Variables(("lead", "today"), ("messages", "language")),
    "summarize": Variables(("lead", "messages"), ("language", "today")),
}
# in a talk the messages follow as such, and need no name
TALKS = {
    "assistant": Variables((), ("lead", "company", "language", "today")),
    "visitor": Variables(("passages",), ("lead", "company", "language", "today")),
}
VARIABLES = {**_OF_ACTIONS, **TALKS, "chat_summary": Variables(("messages",), ("language", "today"))}
ACTIONS = tuple(_OF_ACTIONS)
KEYS = tuple(VARIABLES)
