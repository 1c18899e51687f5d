"""A loopback server with faults, and small data sets in the published forms."""

import http.server
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

U_DATA = "7,1,5,881250949 8,2,3,891717742 7,3,1,878887116 8,1,4,878887117 7,2,2,1 "
_FLAGS = "|".join(["0"] * 19)
_CARTOON = _FLAGS.replace("0|0|0|0", "0|0|0|1", 1)
U_ITEM = (
    f"1|Toy Story (1995)|01-Jan-1995||http://x|{_CARTOON}\n"
    f"2|Postino, Il (1994)|01-Jan-1994||http://x|{_FLAGS}\n"
    f"3|Misérables, Les (1995) (V)|||http://x|1{_FLAGS[1:]}\n"
)
U_USER = "7|24|M|technician|85711\n8|53|F|other|94043\n"


@pytest.fixture
def zipped() -> Callable[[dict[str, bytes]], bytes]:
    def make(members: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return buffer.getvalue()

    return make


@pytest.fixture
def small_100k() -> dict[str, bytes]:
    return {
        "ml-100k/u.data": U_DATA.replace(",", "\t").replace(" ", "\n").encode(),
        "ml-100k/u.item": U_ITEM.encode("latin-1"),
        "ml-100k/u.user": U_USER.encode(),
    }


@dataclass
class Server:
    """Serves `body`; each request takes the next fault from `faults`, then there are none.

    Faults: an int is a status; "reset" breaks off in the middle; "short" too, at a tenth;
    "garbage" sends other bytes; "elsewhere" answers a range with another one.
    """

    body: bytes = b""
    faults: list[int | str] = field(default_factory=list)
    ranges: bool = True
    seen: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def _handler(state: Server) -> Callable[..., http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.seen.append(asked)
            fault = state.faults.pop(0) if state.faults else None
            if isinstance(fault, int):
                self.send_error(fault)
                return
            body = b"x" * len(state.body) if fault == "garbage" else state.body
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if asked and state.ranges and start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if asked and state.ranges:
                shown = 0 if fault == "elsewhere" else start
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {shown}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            rest = body[start:]
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            if fault in ("reset", "short"):
                rest = rest[: len(rest) // (2 if fault == "reset" else 10)]
            self.wfile.write(rest)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
