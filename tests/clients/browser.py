"""A browser's own WebSocket against the echo example: serves page.html, opens it headless, waits for its word."""
import http.server
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

results = queue.Queue()
page = pathlib.Path(__file__).with_name("page.html").read_bytes()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path.startswith("/?")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(page)

    def do_POST(self):
        results.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


browser, url = sys.argv[1:]
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, tempfile.TemporaryDirectory(
    ignore_cleanup_errors=True
) as profile:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --disable-dev-shm-usage"
    ).split()
    process = subprocess.Popen(
        [browser, *flags, f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/?url={url}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = []
    threading.Thread(target=lambda: said.extend(process.stderr), daemon=True).start()
    try:
        result = results.get(timeout=90)
    except queue.Empty:
        result = "the page said nothing; the browser: " + "".join(said[-10:])
    process.terminate()
    process.wait(20)
    server.shutdown()
print(result)
sys.exit(not result.startswith("ok "))
