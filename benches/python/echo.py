"""Echo over Python's socketserver: echo.py CLASS HOST:PORT"""

import socketserver
import sys


class Lines(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


class Packets(socketserver.BaseRequestHandler):
    def handle(self):
        packet, reply = self.request
        reply.sendto(packet, self.client_address)


base = getattr(socketserver, sys.argv[1])
host, port = sys.argv[2].rsplit(":", 1)


class Server(base):
    request_queue_size = 4096  # 5 is its own default: bursts would be lost
    allow_reuse_address = True
    daemon_threads = True
    max_children = 1000

    def handle_error(self, request, client_address):
        pass  # the load leaves in the middle of a line


handler = Packets if issubclass(base, socketserver.UDPServer) else Lines
Server((host, int(port)), handler).serve_forever()
