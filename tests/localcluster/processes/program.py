"""What the pods of these tests run: `python program.py [word ...]`; it notes what happens in the file $NOTES."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def note(word: str) -> None:
    if "NOTES" in os.environ:
        with Path(os.environ["NOTES"]).open("a") as notes:
            notes.write(word + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    """`/` says the version; `/env` the environment; `/sick` makes every further answer 503, `/well` heals it."""

    protocol_version = "HTTP/1.1"
    sick = False

    def do_GET(self) -> None:
        if self.path in ("/sick", "/well"):
            Handler.sick = self.path == "/sick"
        if self.path == "/hook":
            note("hook")
        body = json.dumps(dict(os.environ)) if self.path == "/env" else " ".join(sys.argv[2:])
        ill = Handler.sick and self.path == "/"
        self.send_response(503 if ill else 200)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


def serve() -> None:
    server = http.server.ThreadingHTTPServer((os.environ["SELDON_BIND_ADDRESS"], 8080), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end, args=(server,)).start())
    note("serving")
    server.serve_forever()


def end(server: http.server.ThreadingHTTPServer) -> None:
    note("term")
    server.shutdown()


def main() -> int:
    word = sys.argv[1] if len(sys.argv) > 1 else "serve"
    match word:
        case "serve":
            serve()
        case "stubborn":
            signal.signal(signal.SIGTERM, lambda *_: note("term"))
            subprocess.Popen(
                [sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
            )
            note("stubborn")
            while True:
                time.sleep(1)
        case "exit":
            sys.stderr.write("the last words\n")
            return int(sys.argv[2])
        case "note":
            note(sys.argv[2])
        case "copy":
            Path(sys.argv[3]).write_bytes(Path(sys.argv[2]).read_bytes())
        case "write":
            Path(sys.argv[2]).write_text(sys.argv[3])
    return 0


if __name__ == "__main__":
    sys.exit(main())
