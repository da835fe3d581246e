"""Serving: the explorer as a web page by Voilà, for this machine only."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
import uuid
import webbrowser
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mesostats.handover import VARIABLE, hand_over

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.handover import Opened

HOST: Final = "127.0.0.1"
_LONGEST_SOCKET: Final = 103
"""Bytes of a Unix socket's path that every system takes (macOS the fewest)."""
_EXTENSIONS: Final = ("@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8")
"""What the page needs of JupyterLab's extensions; what else is installed stays out of it."""
_POLICY: Final = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' ws://127.0.0.1:*; frame-ancestors 'none'"
)


def serve(
    opened: Opened, *, say: Callable[[str], Any], port: int | None = None, open_browser: bool = False
) -> None:
    """Serve the explorer of a clinic until it is stopped by Ctrl-C or a termination signal.

    Parameters
    ----------
    opened
        The clinic, and what validation found. Its tables are handed to the page's kernel in a folder of its own, which is gone
        afterwards.
    say
        Called with the page's address once it is served.
    port
        The port, or one near to it where it is taken; any free one by default.
    open_browser
        Open the page in the browser.

    Notes
    -----
    The server listens on the loopback interface only and asks for a token, which is new each time and stands in the address. The
    page may load nothing from elsewhere: the browser is told so by a content security policy. The page's kernel and the server
    talk through Unix sockets where the system has them.
    """
    with (
        tempfile.TemporaryDirectory(prefix="mesostats-") as scratch,
        as_file(files("mesostats.exploring.web")) as web,
    ):
        hand_over(opened, Path(scratch))
        os.environ[VARIABLE] = scratch
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(web), os.environ.get("JUPYTER_PATH")]))
        server = _server(web / "explore.ipynb", port or _free_port())

        def served() -> None:
            address = f"http://{HOST}:{server.port}/?token={server.token}"
            say(address)
            if open_browser:
                _open(address, Path(scratch))

        _once_it_runs(served)
        server.start()


def _server(notebook: Path, port: int) -> Any:
    """Return Voilà, ready to serve a notebook to this machine alone."""
    from traitlets.config import Config  # noqa: PLC0415 - slow to import, for this command only
    from voila.app import Voila  # noqa: PLC0415

    settings = Config()
    settings.VoilaConfiguration.template = "mesostats"
    settings.VoilaConfiguration.file_allowlist = []
    settings.VoilaConfiguration.extension_allowlist = list(_EXTENSIONS)
    settings.Voila.log_level = "ERROR"
    if _sockets_fit(tempfile.gettempdir()):
        settings.KernelManager.transport = "ipc"  # patients' data cross no network port
    server = Voila(config=settings)
    server.initialize([str(notebook)])
    # Set last: no configuration file of the user may open the page to others.
    server.ip, server.port, server.token = HOST, port, secrets.token_urlsafe(24)
    server.open_browser = False  # Voilà would open its address without the token
    server.tornado_settings = {
        "headers": {"Content-Security-Policy": _POLICY},
        "allow_remote_access": False,
        "ws_ping_interval": 0,  # on one machine no connection dies unseen
    }
    return server


def _once_it_runs(call: Callable[[], None]) -> None:
    from tornado.ioloop import IOLoop  # noqa: PLC0415 - comes with Voilà

    IOLoop.current().add_callback(call)


def _open(address: str, folder: Path) -> None:
    """Open the page by a file that leads to it: an address on a command line would show its token to the machine's users."""
    page = folder / "open.html"
    page.write_text(f'<meta http-equiv="refresh" content="0; url={address}">', encoding="utf-8")
    webbrowser.open(page.as_uri())


def _sockets_fit(folder: str) -> bool:
    """Return whether the system has Unix sockets, and their paths under the folder of temporary files are short enough."""
    longest = os.path.join(folder, "voila_12345678", f"kernel-{uuid.UUID(int=0)}-ipc-5")  # noqa: PTH118 - a text, no place
    return os.name == "posix" and len(os.fsencode(longest)) <= _LONGEST_SOCKET


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
