"""A web server on 127.0.0.1 that does what it should, or what it should not."""

import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Loopback:
    """A server of files by name, in a thread.

    Attributes:
        files: name to content.
        version: the ETag of all files; None for none.
        ranges: whether parts of a file can be asked for.
        status: answer this to every GET and HEAD.
        announce: added to the Content-Length.
        stop_after: close the connection after so many bytes.
        delay: seconds before each answer.
        pause: seconds before each 4 kB.
        log: (method, name, Range, status, bytes sent) of each request.
    """

    files: dict[str, bytes]
    version: str | None = '"1"'
    ranges: bool = True
    status: int = 200
    announce: int = 0
    stop_after: int | None = None
    delay: float = 0
    pause: float = 0
    log: list = field(default_factory=list)

    def start(self, tls=None):
        """Begin to serve; `tls` is an ssl.SSLContext."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http{'s' * bool(tls)}://127.0.0.1:{self.port}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        return self

    def stop(self):
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def sent(self):
        """Bytes of files that went out."""
        return sum(row[-1] for row in self.log)


def _handler(served):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            content = served.files.get(self.path.strip("/"))
            status = served.status if content is not None else 404
            time.sleep(served.delay)
            if status != 200:
                self.note(status)
                self.send_response(status)
                self.end_headers()
                return
            begin, status = self.begin(content)
            row = self.note(status)
            self.send_response(status)
            if served.version:
                self.send_header("ETag", served.version)
            if status == 206:
                last, whole = len(content) - 1, len(content)
                self.send_header("Content-Range", f"bytes {begin}-{last}/{whole}")
            elif status == 416:
                self.send_header("Content-Range", f"bytes */{len(content)}")
                content = b""
            self.send_header("Content-Length", str(len(content) - begin + served.announce))
            self.end_headers()
            if body:
                self.send(content[begin:], row)

        def begin(self, content):
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            same = self.headers.get("If-Range") in (None, served.version)
            if not asked or not served.ranges or not same:
                return 0, 200
            return (int(asked[1]), 206) if int(asked[1]) < len(content) else (0, 416)

        def send(self, content, row):
            content = content[: served.stop_after]
            for start in range(0, len(content), 4096):
                time.sleep(served.pause)
                row[-1] += len(content[start : start + 4096])
                try:
                    self.wfile.write(content[start : start + 4096])
                except OSError:
                    return

        def note(self, status):
            row = [self.command, self.path.strip("/"), self.headers.get("Range"), status, 0]
            served.log.append(row)
            return row

    return Handler
