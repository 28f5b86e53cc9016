"""NATS JetStream as benches/compare drives it: the server, and a client of its own protocol.

The client is one thread that keeps one message, or one batch, of every connection under way and counts
a message when its acknowledgement has come: the server answers after its fsync (`sync_interval:
always`).
"""

import itertools
import json
import selectors
import socket
import subprocess
import sys
import time

STREAM, SUBJECT, GROUP = "bench", "bench.messages", "group"


class Connection:
    """A connection, and what was read of it and not yet taken. Its answers come to nobody else."""

    numbers = itertools.count()

    def __init__(self, port):
        self.inbox = b"answers%d" % next(self.numbers)
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.socket.sendall(b'CONNECT {"verbose":false,"headers":true}\r\nSUB %s 1\r\nPING\r\n'
                            % self.inbox)
        while b"PONG\r\n" not in self.buffer:
            self.read()
        self.buffer = b""

    def read(self):
        more = self.socket.recv(1 << 20)
        if not more:
            sys.exit("JetStream closed a connection")
        self.buffer += more

    def messages(self):
        """Whole messages that were read: (subject of the answer, payload with its headers)."""
        found, at = [], 0
        while (end := self.buffer.find(b"\r\n", at)) >= 0:
            words = self.buffer[at:end].split(b" ")
            if words[0] not in (b"MSG", b"HMSG"):
                at = end + 2
                continue
            stop = end + 2 + int(words[-1]) + 2
            if stop > len(self.buffer):
                break
            reply = words[3] if len(words) == (5 if words[0] == b"MSG" else 6) else b""
            found.append((reply, self.buffer[end + 2:stop - 2]))
            at = stop
        self.buffer = self.buffer[at:]
        return found

    def wait(self, count):
        found = self.messages()
        while len(found) < count:
            self.read()
            found += self.messages()
        return found

    def ask(self, subject, request):
        """What the API of JetStream answers."""
        body = json.dumps(request).encode()
        self.socket.sendall(b"PUB %s %s %d\r\n%s\r\n"
                            % (subject.encode(), self.inbox, len(body), body))
        answer = json.loads(self.wait(1)[0][1])
        if "error" in answer:
            sys.exit(f"JetStream refused {subject}: {answer['error']}")
        return answer


class JetStream:
    name = "JetStream"

    def __init__(self, folder, port, program):
        self.folder, self.port, self.program = folder / "jetstream", port, program
        self.folder.mkdir()

    def start(self):
        settings = self.folder / "settings"
        settings.write_text(f'listen: "127.0.0.1:{self.port}"\n'
                            f'jetstream {{ store_dir: "{self.folder}", sync_interval: always }}\n',
                            encoding="utf8")
        self.process = subprocess.Popen([self.program, "-c", str(settings)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                self.control = Connection(self.port)
                break
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    sys.exit("JetStream did not start")
                time.sleep(0.05)
        self.control.ask(f"$JS.API.STREAM.CREATE.{STREAM}",
                         {"name": STREAM, "subjects": [SUBJECT], "storage": "file"})
        self.control.ask(f"$JS.API.CONSUMER.CREATE.{STREAM}.{GROUP}",
                         {"stream_name": STREAM, "config": {
                             "name": GROUP, "durable_name": GROUP, "ack_policy": "explicit",
                             "max_ack_pending": 100_000}})

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)

    def publish(self, clients, batch, payload, seconds):
        """Messages a second, each client with so many at a time under way."""
        selector = selectors.DefaultSelector()
        for _ in range(clients):
            connection = Connection(self.port)
            request = batch * (b"PUB %s %s %d\r\n%s\r\n" % (
                SUBJECT.encode(), connection.inbox, len(payload), payload))
            selector.register(connection.socket, selectors.EVENT_READ, [connection, request, 0])
            connection.socket.sendall(request)
        began, published = time.monotonic(), 0
        until = began + seconds
        while (now := time.monotonic()) < until:
            for key, _ in selector.select():
                state = key.data
                connection, request, _ = state
                connection.read()
                acknowledged = connection.messages()
                if any(b'"error"' in answer for _, answer in acknowledged):
                    sys.exit("JetStream refused a message")
                state[2] += len(acknowledged)
                published += len(acknowledged)
                if state[2] == batch:
                    state[2] = 0
                    connection.socket.sendall(request)
        for key in list(selector.get_map().values()):
            key.fileobj.close()
        return published / (now - began)

    def consume(self, batch, seconds):
        """Messages a second that one consumer fetches in batches and acknowledges; at most what there is."""
        connection = Connection(self.port)
        request = json.dumps({"batch": batch, "expires": 1_000_000_000}).encode()
        fetch = b"PUB $JS.API.CONSUMER.MSG.NEXT.%s.%s %s %d\r\n%s\r\n" % (
            STREAM.encode(), GROUP.encode(), connection.inbox, len(request), request)
        began, consumed = time.monotonic(), 0
        until = began + seconds
        while (now := time.monotonic()) < until:
            connection.socket.sendall(fetch)
            found = connection.wait(1)
            while len(found) < batch and not any(not reply for reply, _ in found):
                connection.read()
                found += connection.messages()
            replies = [reply for reply, _ in found if reply]
            # The answer to an acknowledgement tells that it was kept.
            acknowledge = b"PUB %%s %s 4\r\n+ACK\r\n" % connection.inbox
            connection.socket.sendall(b"".join(acknowledge % reply for reply in replies))
            connection.wait(len(replies))
            consumed += len(replies)
            if len(replies) < batch:
                now = time.monotonic()
                break
        connection.socket.close()
        return consumed / (now - began)
