"""A web server on 127.0.0.1 for tests of downloads, which can misbehave as real ones do."""

import http.server
import json
import threading
import urllib.parse


class Server:
    """Serves what is in `files` (path -> bytes), after the faults in `faults`.

    faults: path -> list of functions (handler, body); each serves one request in place of the file.
    asked: every request as (path, query, headers).  routes: path -> function(handler, query).
    """

    def __init__(self):
        self.files, self.faults, self.routes, self.asked = {}, {}, {}, []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else head and body wait 40 ms for each other

            def do_GET(self):
                address = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(address.query))
                server.asked.append((address.path, query, dict(self.headers)))
                body = server.files.get(address.path)
                if server.faults.get(address.path):
                    server.faults[address.path].pop(0)(self, body)
                elif address.path in server.routes:
                    server.routes[address.path](self, query)
                else:
                    reply(self, 404 if body is None else 200, body or b"")

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client that hangs up is part of the tests
        self.base = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def reply(handler, status, body=b"", **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    if "Content_Length" not in headers:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def answer(handler, value, **headers):
    reply(handler, 200, json.dumps(value).encode(), Content_Type="application/json", **headers)


# Faults


def status(code, **headers):
    return lambda handler, body: reply(handler, code, b"<html>", **headers)


def redirect(to):
    return lambda handler, body: reply(handler, 302, Location=to)


def instead(other):
    return lambda handler, body: reply(handler, 200, other)


def cut(keep):
    """Promises the whole body, sends a part, hangs up."""

    def fault(handler, body):
        reply(handler, 200, body[:keep], Content_Length=len(body))
        handler.close_connection = True

    return fault


def hang_up(handler, body):
    handler.close_connection = True
