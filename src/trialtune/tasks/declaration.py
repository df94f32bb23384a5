"""Reads users' YAML declarations, with unique keys and precise errors."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from trialtune.errors import UsageError
from trialtune.settings import Settings, validated

_Declared = TypeVar("_Declared", bound=Settings)


class _OnceLoader(yaml.SafeLoader):
    """A YAML loader that rejects repeated keys, of which PyYAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is repeated", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_declaration(path: Path, model: type[_Declared], *, what: str) -> _Declared:
    """The settings in a YAML file; `what` is their name in messages.

    Raises UsageError naming the key and the closest valid one.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceLoader)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: not a readable YAML file: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: a {what} is a mapping of {', '.join(model.model_fields)}")
    return validated(model, values, where=str(path))
