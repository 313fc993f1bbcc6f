"""An HTTP proxy in front of the collector that does to requests what networks and balancers do.

Prints {"port": n}, and then for each request what it did to it, {"did": text}, with the "status" of the
collector's answer where there was one, and "spooled": true where that said that the events are in its spool:

    pass       handed on, and the answer handed back
    busy       answered 503 with Retry-After, not handed on
    limited    answered 429 with Retry-After, not handed on
    cut        the connection is reset, not handed on
    lost       handed on, and the connection reset instead of the answer
    away       the collector could not be reached: the connection is reset

Whatever the seed, the first requests meet each of these but the last. With --hold, later ones wait until the
file is there.
"""

import argparse
import http.client
import http.server
import json
import os
import random
import socket
import struct
import threading
import time

FIRST = ["pass", "busy", "pass", "limited", "pass", "cut", "pass", "lost"]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        did = self.server.draw()
        if did in ("pass", "lost"):
            answer = self.hand_on(body)
            if answer is None:
                did = "away"
        said = {"did": did}
        if did in ("pass", "lost"):
            said["status"] = answer[0]
        if did in ("pass", "lost") and "smartcontent-spooled" in {k.lower() for k, _ in answer[1]}:
            said["spooled"] = True
        self.server.say(said)
        if did == "pass":
            self.answer(*answer)
        elif did in ("busy", "limited"):
            status = 503 if did == "busy" else 429
            self.answer(status, [("Retry-After", "1"), ("Content-Type", "text/plain")], b"later")
        else:
            self.reset()

    do_GET = do_POST = do_OPTIONS = handle_any

    def hand_on(self, body):
        connection = http.client.HTTPConnection(self.server.target, timeout=20)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
            connection.request(self.command, self.path, body=body or None, headers=headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def reset(self):
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def log_message(self, *_):
        pass


class Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, target, seed, faults, hold):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = target
        self.random = random.Random(seed)
        self.faults = faults
        self.hold = hold
        self.first = list(FIRST)
        self.lock = threading.Lock()

    def draw(self):
        with self.lock:
            if self.first:
                return self.first.pop(0)
        while self.hold and not os.path.exists(self.hold):
            time.sleep(0.02)
        with self.lock:
            roll = self.random.random()
            kind = self.random.choice(["busy", "limited", "cut", "lost"])
        return kind if roll < self.faults else "pass"

    def say(self, what):
        with self.lock:
            print(json.dumps(what), flush=True)

    def handle_error(self, request, client_address):
        """A connection that its client has closed, or that was reset here."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", required=True, help="host:port of the collector")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=float, default=0.4, help="part of the requests")
    parser.add_argument("--hold", help="a file without which only the first requests are answered")
    options = parser.parse_args()
    proxy = Proxy(options.target, options.seed, options.faults, options.hold)
    proxy.say({"port": proxy.server_port})
    proxy.serve_forever()


if __name__ == "__main__":
    main()
