"""HTTP on a serving node, as scenarios speak it."""
import http.client
import json
import socket
from datetime import datetime, timezone

from cluster import SLOWER, expect, expect_equal


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def rfc3339(us):
    """As Feast has it: with as many digits as it needs."""
    return f"{datetime.fromtimestamp(us / 1e6, timezone.utc):%Y-%m-%dT%H:%M:%S}{f'.{us % 1000000:06}' if us % 1000 else f'.{us // 1000 % 1000:03}' if us % 1000000 else ''}Z"


class Endpoint:
    """That of a cluster whose weir.yaml has `http:` there."""

    def __init__(self, port):
        self.port = port

    def ask(self, method, path, body=None, port=None, headers=None, context=None, timeout=30):
        """status, headers, body"""
        kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
        more = {"context": context} if context else {}
        connection = kind("127.0.0.1", port or self.port, timeout=timeout * SLOWER, **more)
        try:
            content = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
            connection.request(method, path, content, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def features(self, names, entities, **more):
        status, headers, text = self.ask("POST", "/get-online-features", {"features": names, "entities": entities, **more})
        expect_equal(status, 200, text)
        expect_equal(headers["Content-Type"], "application/json")
        answer = json.loads(text, parse_constant=lambda word: expect(False, word, "is no JSON"))
        expect_equal(len(answer["results"]), len(answer["metadata"]["feature_names"]))
        return dict(zip(answer["metadata"]["feature_names"], answer["results"])), answer

    def push(self, stream, columns, rows, **more):
        frame = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
        return self.ask("POST", "/push", {"push_source_name": stream, "df": frame, **more})
