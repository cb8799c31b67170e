"""A model server on grpcio that sends each connection away after a while (`max_connection_age`), as those behind load balancers do.

Arguments: gRPC port, HTTP port, age in milliseconds. Calls get back the connection they came on; the HTTP port tells, as JSON, how
often each call was processed.
"""

import json
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

processed = Counter()
lock = threading.Lock()


def echo(request, context):
    with lock:
        processed[request.decode()] += 1
    return context.peer().encode()


def chat(requests, context):
    for request in requests:
        yield echo(request, context)


class Told(BaseHTTPRequestHandler):
    def do_GET(self):
        with lock:
            body = json.dumps({"calls": len(processed), "most": max(processed.values(), default=0)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    port, http_port, age_ms = sys.argv[1:]
    server = grpc.server(
        ThreadPoolExecutor(32),
        options=[
            ("grpc.max_connection_age_ms", int(age_ms)),
            # What is under way when a connection is sent away has as long as it needs.
            ("grpc.max_connection_age_grace_ms", 600_000),
            ("grpc.so_reuseport", 0),
        ],
    )
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo), "Chat": grpc.stream_stream_rpc_method_handler(chat)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Model", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    ThreadingHTTPServer(("127.0.0.1", int(http_port)), Told).serve_forever()


main()
