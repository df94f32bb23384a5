"""The base of every settings class: frozen, validated, and strict about names."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Values a recipe or a command line may set; an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
