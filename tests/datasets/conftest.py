"""A real server on this machine for the downloads."""

import http.server
import re
import threading

import pytest

from nbdl_datasets import download


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `files` below /good, understands Range, and misbehaves below the other folders."""

    def do_GET(self):
        folder, name = self.path.strip("/").split("/")
        span = self.headers.get("Range")
        self.server.asked.append((folder, name, span))
        if folder == "forbidden":
            self.send_error(403)
            return
        body = b"<html>Please log in</html>" if folder == "wrong" else self.server.files[name]
        start = int(re.match(r"bytes=(\d+)-", span)[1]) if span else 0
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if folder == "cut" and name not in self.server.cut_once:
            self.server.cut_once.add(name)
            self.wfile.write(body[start : len(body) // 2])
            return
        self.wfile.write(body[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path, monkeypatch):
    """The server: fill its `files`, read what was `asked`; downloads go to an empty cache, and no data is shared."""
    monkeypatch.setenv("NBDL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NBDL_DATA_DIR", raising=False)
    monkeypatch.setattr(download, "PATIENCE", 3)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.asked, running.cut_once = {}, [], set()
        running.address = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()
