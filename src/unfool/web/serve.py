"""Starting the server, on this machine only."""

import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from ..errors import InputError, MissingExtra, UnfoolError

USUAL = 8400
"""The port where none is given, if it is free."""


def listening(port: int | None) -> socket.socket:
    """A socket on loopback: at ``port`` (0 is any), or without one at the usual port or any other."""
    tried = (USUAL, 0) if port is None else (port,)
    for number in tried:
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(("127.0.0.1", number))
            opened.listen(128)  # who opens the address at once waits for an answer
            return opened
        except (OSError, OverflowError):
            opened.close()
    raise InputError(f"port {port} cannot be had: it is taken, or not yours", "--port 0 takes a free one")


def serve(
    make_act: Callable[[], Any],
    port: int | None,
    browser: bool,
    say: Callable[[str], None],
    page: str = "unfool.web",
) -> None:
    """Answer pages until Ctrl-C. ``make_act`` runs in the desk's thread, when the page is there already.

    ``page`` is the package whose page it is.

    Raises what ``make_act`` raises, such as that there is no such model.
    """
    for package in ("starlette", "uvicorn", "websockets"):
        if find_spec(package) is None:
            raise MissingExtra(package, "studio")
    import uvicorn

    os.environ.setdefault(
        "OMP_WAIT_POLICY", "passive"
    )  # torch's threads else hold on to the cores that draw the page
    from .app import make_app
    from .guard import fresh_token
    from .late import Late

    with listening(port) as opened:
        number, token = opened.getsockname()[1], fresh_token()
        address = f"http://127.0.0.1:{number}/#{token}"
        late = Late(make_act)
        app = make_app(late, token, number, page)
        config = uvicorn.Config(
            app,
            ws="websockets-sansio",
            ws_max_size=4 << 20,
            ws_per_message_deflate=False,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)

        def failed(error: UnfoolError) -> None:
            server.should_exit = True

        app.state.studio.desk.put(late.job(failed))
        say(f"{address}\nCtrl-C ends it.")
        if browser:
            threading.Timer(0.3, webbrowser.open, (address,)).start()
        try:
            server.run(sockets=[opened])
        except KeyboardInterrupt:
            say("")
        if late.error is not None:
            raise late.error
