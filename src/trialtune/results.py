"""The base of every result class: frozen, validated; saved as JSON and loaded back."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from trialtune.errors import DataError
from trialtune.files import read_json, write_json


class Result(BaseModel):
    """The result of a step; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def save(self, path: Path) -> None:
        """Write the result as a JSON file."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a JSON file that `save` wrote; raises DataError when it is missing or not of this class."""
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(map(str, problem["loc"]))
            raise DataError(
                f"{path}: {place}: {problem['msg']}; not written by this version: create it again"
            ) from error
