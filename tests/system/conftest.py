"""Fixtures of the system tests: a real fnrun instance, real clients, real sandboxes."""

import io
import json
import os
import subprocess
import zipfile
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from instance import Instance
from warden import Warden

ROLE = "arn:aws:iam::000000000000:role/test"


def must_work():
    return os.environ.get("FNRUN_MUST_WORK") == "1"


def skip_is_failure(report):
    if must_work() and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, but FNRUN_MUST_WORK=1: {report.longrepr}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    skip_is_failure((yield).get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report():
    skip_is_failure((yield).get_result())


@pytest.fixture(scope="session")
def fnrun():
    """The instance that most tests share. At its end: nothing may be left behind."""
    instance = Instance()
    try:
        yield instance.start()
    finally:
        instance.close()


@pytest.fixture
def own_fnrun():
    """An instance of the test's own, to be killed and restarted at will."""
    instance = Instance()
    try:
        yield instance.start()
    finally:
        instance.close()


def make_client(instance, service):
    config = Config(retries={"max_attempts": 0}, read_timeout=60, s3={"addressing_style": "path"},
                    max_pool_connections=64)
    return boto3.client(service, endpoint_url=instance.endpoint, region_name="us-east-1", aws_access_key_id="test",
                        aws_secret_access_key="test", config=config)


@pytest.fixture(scope="session")
def lam(fnrun):
    return make_client(fnrun, "lambda")


@pytest.fixture(scope="session")
def s3(fnrun):
    return make_client(fnrun, "s3")


@pytest.fixture(scope="session")
def aws(fnrun):
    return fnrun.aws


def make_zip(files, mode=0o755):
    """A zip of {name: content}; everything in it may be executed unless `mode` says otherwise."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()


def compile_static(name, tmp_path_factory):
    """A static program from tests/system/programs, to be packed into a function."""
    program = tmp_path_factory.mktemp("program") / Path(name).stem
    source = Path(__file__).parent / "programs" / name
    subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-static", "-o", program, source], check=True)
    return program


def create_function(client, name, files, runtime="python3.13", handler="app.handler", mode=0o755, **kw):
    """Creates a function from files in memory and waits until it can be invoked."""
    client.create_function(FunctionName=name, Runtime=runtime, Role=ROLE, Handler=handler,
                           Code={"ZipFile": make_zip(files, mode)}, **kw)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})
    return name


class Result:
    """An answer to Invoke, read."""

    def __init__(self, answer):
        self.status = answer["StatusCode"]
        self.error = answer.get("FunctionError")
        self.raw = answer["Payload"].read()
        self.headers = answer["ResponseMetadata"]["HTTPHeaders"]
        self.request_id = self.headers.get("x-amzn-requestid")
        self.log_result = answer.get("LogResult")

    @property
    def value(self):
        assert self.error is None, self.raw[:4000]
        return json.loads(self.raw)

    @property
    def failure(self):
        assert self.error == "Unhandled", self.raw[:4000]
        return json.loads(self.raw)


def invoke_function(client, name, event=None, **kw):
    payload = event if isinstance(event, bytes) else json.dumps(event if event is not None else {}).encode()
    return Result(client.invoke(FunctionName=name, Payload=payload, **kw))


@pytest.fixture(scope="session")
def invoke(lam):
    """invoke(name, event) -> Result"""
    return lambda name, event=None, **kw: invoke_function(lam, name, event, **kw)


def function_maker(client):
    made = []

    def make(name, files, **kw):
        create_function(client, name, files, **kw)
        made.append(name)
        return name

    yield make
    for name in made:
        client.delete_function(FunctionName=name)


@pytest.fixture
def make_function(lam):
    """make_function(name, files, ...) creates a function that is deleted when the test ends."""
    yield from function_maker(lam)


@pytest.fixture(scope="module")
def make_module_function(lam):
    """The same, for functions that the tests of one file share."""
    yield from function_maker(lam)


@pytest.fixture(scope="module")
def shared_warden():
    """The warden that most tests of one file share; its manager is the test."""
    with Warden("--max-deaths", "0") as warden:
        yield warden.start()


@pytest.fixture
def warden(shared_warden):
    yield shared_warden
    shared_warden.settle()


@pytest.fixture
def own_warden():
    """A warden of the test's own, that may die."""
    with Warden("--max-deaths", "0") as warden:
        yield warden.start()
