"""A model server with prometheus_client's own process metrics: answers /metrics and /used, burns CPU on /burn."""

import sys
import time
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app

metrics = make_wsgi_app()


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def app(environ, start):
    if environ["PATH_INFO"] == "/metrics":
        return metrics(environ, start)
    if environ["PATH_INFO"] == "/burn":
        until = time.process_time() + 1
        while time.process_time() < until:
            pass
    start("200 OK", [("content-type", "text/plain")])
    return [str(time.process_time()).encode()]


make_server("127.0.0.1", int(sys.argv[1]), app, handler_class=Quiet).serve_forever()
