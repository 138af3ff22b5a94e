"""An instance that starts functions from snapshots, for the tests of those."""

import json
import urllib.request

from conftest import create_function, invoke_function, make_client
from instance import Instance, wait_until


class Snapshots:
    """An instance that starts functions from snapshots."""

    def __init__(self, *options, warden_options=()):
        self.instance = Instance(*warden_options, manager_options=("--snapshots=on", *options)).start()
        self.client = make_client(self.instance, "lambda")

    def get(self, path):
        with urllib.request.urlopen(self.instance.endpoint + path) as answer:
            return json.loads(answer.read())

    def state(self, name):
        return next(s for s in self.get("/_fnrun/snapshots") if s["function"] == name)

    def make(self, name, files, **kw):
        """Creates a function, starts it once and waits for its snapshot."""
        create_function(self.client, name, files, MemorySize=512, **kw)
        invoke_function(self.client, name).raw
        return wait_until(lambda: self.settled(name), 30, f"the snapshot of {name}")

    def settled(self, name):
        state = self.state(name)
        return state if state["state"] in ("ready", "unusable") else None

    def restore(self, name, payload=b"{}"):
        """An invocation by an instance that no invocation has had; (how it was started, the answer)."""
        return self.start("restored", name, payload)

    def start(self, how, name, payload=b"{}"):
        request = urllib.request.Request(f"{self.instance.endpoint}/2015-03-31/functions/{name}/invocations", payload,
                                         {"X-Fnrun-Start": how, "Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return answer.headers["X-Fnrun-Start"], json.loads(answer.read())

    def folder(self, name):
        return self.instance.state / "snapshots" / self.state(name)["id"]
