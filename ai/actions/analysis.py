"""What the AI thinks of a lead, in the form that its fields have."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _in_utc(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment and moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("beyond the years that there are") from error


Moment = Annotated[datetime | None, AfterValidator(_in_utc)]


class Analysis(BaseModel):
    """Every field is required, and there are no others: the form of an answer must be strict."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["NEW", "CONTACTED", "QUALIFIED", "PROPOSAL", "WON", "LOST"]
    needs_action: bool
    next_action_at: Moment
    next_action_description: str
    last_contact: Moment
    score: Annotated[int, Field(ge=0, le=100)]
    reason: str
