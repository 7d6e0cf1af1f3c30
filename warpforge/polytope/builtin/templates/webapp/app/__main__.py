"""The application: answers requests on $PORT."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app.pages import page


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = page(self.path)
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", int(os.environ.get("PORT", "8000"))), Handler).serve_forever()
