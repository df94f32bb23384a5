"""`trialtune serve`: labels over HTTP, and a web page."""

from pathlib import Path
from typing import Annotated

import typer

from trialtune.cli.app import app, example


@app.command(epilog=example("trialtune serve stop-reasons sex --port 8000"))
def serve(
    classifiers: Annotated[
        list[str], typer.Argument(help="stop-reasons, sex, classifier folders or Hub ids, one per task.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free port.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None, typer.Option(help="File with a token that clients must send (Bearer).")
    ] = None,
    max_queue: Annotated[int, typer.Option(min=1, help="Maximum texts queued for each classifier.")] = 2048,
    max_texts: Annotated[int, typer.Option(min=1, help="Maximum texts per request.")] = 256,
    remember: Annotated[int, typer.Option(min=0, help="Cached predictions for short texts.")] = 50_000,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds until a request times out.")] = 30,
) -> None:
    """Serve classifiers over HTTP, with a web page at `/` and the API's documentation at `/docs`."""
    from trialtune.console import tell
    from trialtune.server.app import ServiceSettings, build_app
    from trialtune.server.middleware import log_as_json
    from trialtune.server.run import bind, make_server, read_token

    token = read_token(token_file) if token_file else None
    settings = ServiceSettings(max_queue=max_queue, max_texts=max_texts, remember=remember, timeout=timeout)
    log_as_json()
    with bind(host, port) as listening:
        built = build_app(classifiers, settings, token=token)
        if host not in ("127.0.0.1", "::1", "localhost") and token is None:
            tell(f"warning: anyone who reaches {host} can use this service; --token-file requires a token")
        address = _address(host, listening.getsockname()[1])
        tell(f"trialtune serves {', '.join(built.state.served)} on {address}")
        make_server(built, timeout=timeout).run(sockets=[listening])


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
