"""Asynchronous invocations: 202 and then, at some time, the function runs; what fails is tried three times."""

import json
import re
import time

import pytest
from botocore.exceptions import ClientError

from conftest import create_function, make_client
from instance import Instance, wait_until

MIB = 1 << 20
WRITE = "def handler(event, context):\n    print('ran', event.get('n'), context.aws_request_id)\n"
FAIL = "import json\ndef handler(event, context):\n    print('try', context.aws_request_id)\n    raise ValueError('always')\n"


def runs(instance, name, mark="ran"):
    """What the function's log holds of `mark VALUE REQUEST-ID` lines."""
    return re.findall(rf"^{mark} (.*)$", instance.function_log(name), re.M)


def send(client, name, event):
    answer = client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode())
    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""
    assert "FunctionError" not in answer
    return answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]


def test_event_is_run_later(make_function, lam, fnrun):
    name = make_function("async-one", {"app.py": WRITE})
    request_id = send(lam, name, {"n": 7})
    assert wait_until(lambda: runs(fnrun, name), what="the event to run") == [f"7 {request_id}"]


def test_empty_event(make_function, lam, fnrun):
    name = make_function("async-empty", {"app.py": WRITE})
    assert lam.invoke(FunctionName=name, InvocationType="Event")["StatusCode"] == 202
    assert wait_until(lambda: runs(fnrun, name))[0].startswith("None ")


def test_each_of_many_runs_exactly_once(make_function, lam, fnrun):
    name = make_function("async-many", {"app.py": WRITE})
    sent = {f"{n} {send(lam, name, {'n': n})}" for n in range(60)}
    wait_until(lambda: len(runs(fnrun, name)) >= 60, 30, "60 events to run")
    assert sorted(runs(fnrun, name)) == sorted(sent)


def test_aws_cli(make_function, aws, fnrun, tmp_path):
    name = make_function("async-cli", {"app.py": WRITE})
    assert aws("lambda", "invoke", "--function-name", name, "--invocation-type", "Event", "--cli-binary-format",
               "raw-in-base64-out", "--payload", '{"n": 1}', tmp_path / "out") == {"StatusCode": 202}
    assert wait_until(lambda: runs(fnrun, name))


def test_answer_does_not_wait_for_the_function(make_function, lam, fnrun):
    name = make_function("async-slow", {"app.py": "import time\ndef handler(e, c):\n    time.sleep(1)\n    print('ran', 1)\n"})
    send(lam, name, {})
    assert not runs(fnrun, name)
    wait_until(lambda: runs(fnrun, name))


def test_unknown_function(lam):
    with pytest.raises(ClientError) as error:
        lam.invoke(FunctionName="nobody", InvocationType="Event", Payload=b"{}")
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_dry_run_runs_nothing(make_function, lam, fnrun):
    name = make_function("dry-run", {"app.py": WRITE})
    answer = lam.invoke(FunctionName=name, InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    assert fnrun.function_log(name) == ""


def test_largest_event(make_function, lam, fnrun):
    name = make_function("async-large", {"app.py": "def handler(e, c): print('ran', len(e))\n"}, MemorySize=256)
    largest = b'"' + b"e" * (MIB - 2) + b'"'
    assert lam.invoke(FunctionName=name, InvocationType="Event", Payload=largest)["StatusCode"] == 202
    assert wait_until(lambda: runs(fnrun, name)) == [str(MIB - 2)]
    with pytest.raises(ClientError) as error:
        lam.invoke(FunctionName=name, InvocationType="Event", Payload=b"1" + largest)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 413)
    with pytest.raises(ClientError) as error:
        lam.invoke(FunctionName=name, InvocationType="Event", Payload=b'"' + largest[1:-1] + b'e"')
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert error.value.response["Error"]["Code"] == "RequestEntityTooLargeException"


def test_events_of_a_deleted_function_are_dropped(lam, fnrun, make_function):
    create_function(lam, "async-gone", {"app.py": FAIL})
    send(lam, "async-gone", {})
    wait_until(lambda: runs(fnrun, "async-gone", "try"))
    lam.delete_function(FunctionName="async-gone")
    other = make_function("async-after-gone", {"app.py": WRITE})
    send(lam, other, {"n": 1})
    assert wait_until(lambda: runs(fnrun, other))


def test_failing_event_is_tried_three_times(tmp_path):
    """With a retry wait of 1 s in place of 60: tried at once, after 1 s, after 2 s more, and then no more."""
    instance = Instance(manager_options=["--retry-seconds=1"])
    try:
        client = make_client(instance.start(), "lambda")
        create_function(client, "failing", {"app.py": FAIL})
        request_id = send(client, "failing", {})
        wait_until(lambda: len(runs(instance, "failing", "try")) == 2, 5, "the second try")
        time.sleep(0.2)  # a try that was counted less than 20 ms before the end may run again: at least once
        instance.restart()
        wait_until(lambda: len(runs(instance, "failing", "try")) == 3, 6, "the third try, after a restart")
        send(client, "failing", {})
        wait_until(lambda: len(runs(instance, "failing", "try")) == 6, 8, "three tries of another event")
        assert runs(instance, "failing", "try").count(request_id) == 3
    finally:
        instance.close()
