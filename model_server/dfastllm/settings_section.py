"""What every group of settings is, and how a list is written where only text can be."""

from pydantic import BaseModel, ConfigDict


def one_or_many(value: object) -> object:
    """`a,b` and `a` are lists too: flags and variables have no other way to write one."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class Section(BaseModel):
    """A group of settings; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
