"""A client of the registry's API v2: one rate-limited request at a time, retried until complete."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random

from trialtune import __version__
from trialtune.console import duration, tell
from trialtune.errors import DataError, UsageError
from trialtune.registry.settings import BASE_URL, MAX_PAGE, ClientSettings

_RETRIED = {408, 425, 429}
_LONGEST_WAIT = 60.0
# A longer Retry-After means a long outage; a later run resumes from there.
_LONGEST_RETRY_AFTER = 600.0
# No network shows at once, or, behind a firewall that drops packets, after this.
_LONGEST_CONNECT = 10.0
_NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)


@dataclass(frozen=True)
class Page:
    """One page of studies; `token` leads to the next, `total` comes with the first."""

    studies: list[Any]
    token: str | None
    total: int | None


class Refused(DataError):
    """The registry rejected the request itself (HTTP 4xx)."""

    def __init__(self, url: str, status: int, text: str) -> None:
        self.status = status
        self.reason = f"HTTP {status}: {text[:300].strip()}"
        super().__init__(f"{url}: {self.reason}; check --base-url, --query and --fields")


class _Unanswered(Exception):
    """No complete response, for a transient reason; `retry_after` in seconds when the server gave it."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class RegistryClient:
    """A client of API v2 at `base_url` (https://clinicaltrials.gov/data-api/api); use it in a with block.

    Rate limits, 5xx, timeouts, broken connections, truncated JSON and HTML pages are retried with exponential
    backoff and jitter, or after the server's Retry-After; each retry is reported on stderr. Until the server
    has answered once, a connection that cannot be made is not retried. Raises UsageError for an invalid URL,
    Refused for a 4xx, DataError without a connection or when the attempts are used up. Counts `requests`
    and `retries`.
    """

    def __init__(
        self,
        base_url: str = BASE_URL,
        settings: ClientSettings | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UsageError(f"--base-url {base_url!r}: not a URL; write it as {BASE_URL}")
        self.base_url = base_url.rstrip("/")
        self.host = parts.netloc
        self.requests = self.retries = 0
        self._settings = settings or ClientSettings()
        self._sleep = sleep
        self._next_turn = 0.0
        self._answered = False
        first = self._settings.backoff
        self._backoff = wait_exponential(multiplier=first, max=_LONGEST_WAIT) + wait_random(0, first)
        self._http = httpx.Client(
            timeout=httpx.Timeout(
                self._settings.timeout, connect=min(self._settings.timeout, _LONGEST_CONNECT)
            ),
            follow_redirects=True,
            headers={
                "User-Agent": f"trialtune/{__version__} (registry sync; python-httpx/{httpx.__version__})",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            },
        )

    def version(self) -> str:
        """The current `dataTimestamp` of the data, such as 2026-02-13T09:00:05."""
        answer = self._get("version", {})
        timestamp = answer.get("dataTimestamp")
        if not isinstance(timestamp, str) or not _is_time(timestamp):
            raise DataError(f"{self.base_url}/version: no dataTimestamp in {answer!r}; check --base-url")
        return timestamp

    def page(self, params: Mapping[str, str], *, token: str | None = None, size: int = MAX_PAGE) -> Page:
        """One page of the studies selected by `params`; the first page, without `token`, has the total."""
        paging = {"pageToken": token} if token is not None else {"countTotal": "true"}
        answer = self._get("studies", {**params, "pageSize": str(size), **paging}, needs="studies")
        total = answer.get("totalCount")
        return Page(answer["studies"], answer.get("nextPageToken"), total if token is None else None)

    def count(self, params: Mapping[str, str]) -> int:
        """The number of studies selected by `params`."""
        total = self.page({**params, "fields": "NCTId"}, size=1).total
        if not isinstance(total, int):
            raise DataError(f"{self.base_url}/studies: no totalCount in the response; check --base-url")
        return total

    def _get(self, path: str, params: Mapping[str, str], *, needs: str | None = None) -> dict[str, Any]:
        url = f"{self.base_url}/{path}"
        retrying = Retrying(
            stop=stop_after_attempt(self._settings.attempts),
            wait=self._pause,
            retry=retry_if_exception_type(_Unanswered),
            before_sleep=self._retry,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._ask, url, params, needs)
        except _Unanswered as error:
            raise DataError(
                f"{url}: no complete response in {self._settings.attempts} attempts, the last time {error};"
                " what was fetched is kept: run the same command again later to resume"
            ) from error

    def _ask(self, url: str, params: Mapping[str, str], needs: str | None) -> dict[str, Any]:
        self._take_turn()
        self.requests += 1
        try:
            response = self._http.get(url, params=params)
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise DataError(f"{url}: {error}; check --base-url") from error
        except httpx.RequestError as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            if isinstance(error, _NO_CONNECTION) and not self._answered:
                raise DataError(
                    f"{self.host}: no connection ({reason}); check the network, the proxy (HTTPS_PROXY)"
                    " and --base-url, then run the same command again"
                ) from error
            raise _Unanswered(reason) from error
        self._answered = True
        if response.status_code in _RETRIED or response.status_code >= 500:
            raise _Unanswered(f"HTTP {response.status_code}", retry_after(response))
        if response.status_code >= 400:
            raise Refused(url, response.status_code, response.text)
        return _decoded(response, needs)

    def _take_turn(self) -> None:
        now = time.monotonic()
        if now < self._next_turn:
            self._sleep(self._next_turn - now)
        if self._settings.rate:
            self._next_turn = max(now, self._next_turn) + 1 / self._settings.rate

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, _Unanswered) else 0.0
        return max(self._backoff(state), asked)

    def _retry(self, state: RetryCallState) -> None:
        self.retries += 1
        error = state.outcome.exception() if state.outcome else None
        next_ = f"attempt {state.attempt_number + 1} of {self._settings.attempts}"
        tell(f"{self.host}: {error}; {next_} in {duration(state.upcoming_sleep)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()


def _decoded(response: httpx.Response, needs: str | None) -> dict[str, Any]:
    try:
        # A byte that is not UTF-8 invalidates only its record, which is rejected later, not the page.
        value = json.loads(response.content.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        kind = response.headers.get("content-type", "no content type")
        start = response.text[:40]
        raise _Unanswered(
            f"not JSON but {len(response.content):,} bytes of {kind}, {start!r} ({error})"
        ) from error
    if not isinstance(value, dict) or (needs and not isinstance(value.get(needs), list)):
        raise _Unanswered(f"JSON without {needs or 'an object'}: {str(value)[:80]}")
    return value


def retry_after(response: httpx.Response) -> float:
    """Seconds of the Retry-After header, which is a number or a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            seconds = 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
