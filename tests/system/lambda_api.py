"""What the tests of the Lambda API share: names, raw HTTP, and where things are on disk."""

import base64
import http.client
import os

ECHO = {"app.py": "def handler(event, context):\n    return event\n"}
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def plain(answer):
    return {k: v for k, v in answer.items() if k != "ResponseMetadata"}


def packages(fnrun):
    return {name for name in os.listdir(fnrun.state / "data" / "code") if len(name) == 64}


def tree(fnrun, sha256):
    return fnrun.state / "data" / "code" / base64.b64decode(sha256).hex() / "tree"


def raw(fnrun, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", fnrun.port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()
