"""Maps missing packages to the extras of trialtune that install them."""

from collections.abc import Iterator
from contextlib import contextmanager

from trialtune.errors import UsageError

_EXTRAS = {
    "train": ("torch", "transformers", "peft", "accelerate", "safetensors", "sklearn", "onnx"),
    "report": ("matplotlib",),
    "serve": (
        "fastapi",
        "fastapi_offline",
        "starlette",
        "uvicorn",
        "httptools",
        "prometheus_client",
        "anyio",
    ),
    "ray": ("ray",),
}
_EXTRA_OF = {package: extra for extra, packages in _EXTRAS.items() for package in packages}


class MissingExtraError(UsageError):
    """An optional package is not installed."""

    @classmethod
    def of(cls, error: BaseException) -> "MissingExtraError | None":
        """The error with a remedy, when a package of an extra is missing."""
        package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        extra = _EXTRA_OF.get(package)
        return (
            cls(f"this needs {package}; install it with: pip install 'trialtune[{extra}]'") if extra else None
        )


@contextmanager
def needing_extras() -> Iterator[None]:
    """Name the extra to install when a package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if missing := MissingExtraError.of(error):
            raise missing from error
        raise
