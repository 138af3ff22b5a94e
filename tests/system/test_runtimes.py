"""Functions in Python and Node, end to end: what they see, what they answer, what is logged, how they fail."""

import base64
import json
import re
import time

import pytest

from lambda_api import raw

PYTHON = '''
import json, logging, os, sys, time

counter = 0
logging.getLogger().setLevel(logging.INFO)


class Unhappy(Exception):
    pass


def handler(event, context):
    global counter
    counter += 1
    return globals()["do_" + event.get("do", "echo")](event, context)


def do_echo(event, context):
    return event


def do_count(event, context):
    return counter


def do_env(event, context):
    return dict(os.environ)


def do_context(event, context):
    custom = context.client_context.custom if context.client_context else None
    return {
        "name": context.function_name, "version": context.function_version, "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb, "id": context.aws_request_id, "group": context.log_group_name,
        "stream": context.log_stream_name, "left": context.get_remaining_time_in_millis(), "custom": custom,
        "cwd": os.getcwd(), "pid": os.getpid(),
    }


def do_raise(event, context):
    raise Unhappy("no luck")


def do_log(event, context):
    print("printed line")
    sys.stderr.write("line on stderr\\n")
    logging.info("logged line")
    return "ok"


def do_set(event, context):
    return {1, 2}


def do_exit(event, context):
    os._exit(event["status"])


def do_sys_exit(event, context):
    sys.exit(event["status"])


def do_signal(event, context):
    os.kill(os.getpid(), event["signal"])


def do_sleep(event, context):
    print("going to sleep")
    time.sleep(event["seconds"])
    return "awake"


def do_text(event, context):
    return event["text"] * event["times"]
'''

NODE = '''
let counter = 0

export async function handler(event, context) {
  counter += 1
  return await actions[event.do ?? 'echo'](event, context)
}

class Unhappy extends Error {
  constructor(message) { super(message); this.name = 'Unhappy' }
}

const actions = {
  echo: event => event,
  count: () => counter,
  env: () => process.env,
  context: (event, c) => ({
    name: c.functionName, version: c.functionVersion, arn: c.invokedFunctionArn, memory: c.memoryLimitInMB,
    id: c.awsRequestId, group: c.logGroupName, stream: c.logStreamName, left: c.getRemainingTimeInMillis(),
    custom: c.clientContext?.custom, cwd: process.cwd(), pid: process.pid,
  }),
  raise: () => { throw new Unhappy('no luck') },
  throw_text: () => { throw 'just text' },
  reject_later: async () => { Promise.reject(new Unhappy('nobody listens')); await new Promise(f => setTimeout(f, 500)) },
  log: () => {
    process.stdout.write('printed line\\n'); process.stderr.write('line on stderr\\n')
    console.log('logged line %d', 7)
    return 'ok'
  },
  nothing: () => undefined,
  exit: event => process.exit(event.status),
  signal: event => { process.kill(process.pid, event.signal); return new Promise(() => {}) },
  sleep: async event => {
    console.log('going to sleep')
    await new Promise(f => setTimeout(f, event.seconds * 1000))
    return 'awake'
  },
}
'''

RUNTIMES = {
    "python": {"runtime": "python3.13", "handler": "app.handler", "files": {"app.py": PYTHON}},
    "node": {"runtime": "nodejs20.x", "handler": "app.handler", "files": {"app.mjs": NODE}},
}
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@pytest.fixture(scope="module", params=RUNTIMES)
def function(request, make_module_function):
    """The name of a function that does what the event says; each test runs with each runtime."""
    return make_module_function(f"runtime-{request.param}", **RUNTIMES[request.param], Timeout=5,
                                Environment={"Variables": {"COLOUR": "grün & blue", "TZ": "Europe/Paris"}})


def is_python(function):
    return function.endswith("python")


def tail(result):
    return base64.b64decode(result.log_result).decode()


@pytest.mark.parametrize("event", [{}, [], "text", 17, 1.5, None, True, {"deep": [{"ü": "日本語 \U0001f600"}], "n": -1e300}])
def test_event_comes_back_unchanged(make_module_function, invoke, echo, event):
    assert invoke(echo, json.dumps(event).encode()).value == event


@pytest.fixture(scope="module", params=["python", "node"])
def echo(request, make_module_function):
    files = {"python": {"echo.py": "def handler(event, context):\n    return event\n"},
             "node": {"echo.js": "exports.handler = (event, context, callback) => callback(null, event)\n"}}
    return make_module_function(f"echo-{request.param}", files[request.param], handler="echo.handler",
                                runtime=RUNTIMES[request.param]["runtime"])


def test_empty_payload_is_an_empty_event(lam, echo):
    assert json.loads(lam.invoke(FunctionName=echo)["Payload"].read()) == {}


def test_aws_cli(aws, function, tmp_path):
    out = tmp_path / "out.json"
    answer = aws("lambda", "invoke", "--function-name", function, "--cli-binary-format", "raw-in-base64-out",
                 "--payload", '{"do": "echo", "who": "cli"}', out)
    assert answer == {"StatusCode": 200, "ExecutedVersion": "$LATEST"}
    assert json.loads(out.read_text()) == {"do": "echo", "who": "cli"}


def test_response_headers(invoke, function):
    result = invoke(function, {"do": "context"})
    assert re.fullmatch(UUID, result.request_id)
    assert result.value["id"] == result.request_id
    assert result.headers["x-amz-executed-version"] == "$LATEST"
    assert result.headers["content-type"] == "application/json"
    assert result.headers["x-amzn-trace-id"].lower().startswith("root=1-")


def test_context(invoke, function):
    client_context = base64.b64encode(json.dumps({"custom": {"key": "value"}, "client": {}, "env": {}}).encode()).decode()
    context = invoke(function, {"do": "context"}, ClientContext=client_context).value
    assert context["name"] == function
    assert context["version"] == "$LATEST"
    assert context["arn"] == ARN + function
    assert context["memory"] == "128"
    assert context["group"] == "/aws/lambda/" + function
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", context["stream"])
    assert 3000 < context["left"] <= 5000
    assert context["custom"] == {"key": "value"}
    assert context["cwd"] == "/var/task"
    assert context["pid"] == 2


def test_log_group_is_the_configured_one(make_function, invoke, fnrun):
    code = "import os\ndef handler(e, c): return [c.log_group_name, os.environ['AWS_LAMBDA_LOG_GROUP_NAME']]\n"
    name = make_function("log-group", {"app.py": code})
    assert invoke(name).value == ["/aws/lambda/log-group"] * 2
    # Debian's botocore is of 2022 and does not know it.
    status, _, body = raw(fnrun, "PUT", f"/2015-03-31/functions/{name}/configuration",
                          json.dumps({"LoggingConfig": {"LogGroup": "/my/group"}}))
    assert status == 200, body
    assert invoke(name).value == ["/my/group"] * 2


WRAPPER = """#!/bin/bash
export WRAPPED="$*"
exec "$@"
"""

WRAPPED = {
    "python3.13": ({"app.py": "import os\ndef handler(e, c): return os.environ['WRAPPED']\n", "wrap": WRAPPER},
                   "/usr/bin/python3.13 -S /var/runtime/bootstrap.py"),
    "nodejs20.x": ({"app.js": "exports.handler = async () => process.env.WRAPPED\n", "wrap": WRAPPER},
                   "/usr/bin/node --v8-pool-size=1 --no-short-builtin-calls /var/runtime/bootstrap.js"),
}


def wrapper(path):
    return {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": path}}


@pytest.mark.parametrize("runtime", WRAPPED)
def test_exec_wrapper_is_given_the_command_line_of_the_runtime(make_function, invoke, runtime):
    files, command = WRAPPED[runtime]
    name = make_function("wrapped-" + runtime[:4], files, runtime=runtime, Environment=wrapper("/var/task/wrap"))
    assert invoke(name).value == command


def test_exec_wrapper_that_can_run_the_runtime_as_its_child(make_function, invoke):
    files = {"app.py": "import os\ndef handler(e, c): return os.getppid()\n", "wrap": '#!/bin/bash\n"$@"\nexit 7\n'}
    assert invoke(make_function("wrapped-child", files, Environment=wrapper("/var/task/wrap"))).value == 2


@pytest.mark.parametrize("path, status, line", [("/var/task/none", 127, "/var/task/none: does not exist"),
                                                ("/var/task/app.py", 126, "/var/task/app.py: is not an executable")])
def test_exec_wrapper_that_cannot_start(make_function, invoke, path, status, line):
    name = make_function(f"wrapped-{status}", {"app.py": "def handler(e, c): return 1\n"}, mode=0o644,
                         Environment=wrapper(path))
    result = invoke(name, LogType="Tail")
    message = f"RequestId: {result.request_id} Error: Runtime exited with error: exit status {status}"
    assert result.failure == {"errorType": "Runtime.ExitError", "errorMessage": message}
    tail = base64.b64decode(result.log_result).decode()
    assert f"\n{line}\nEND RequestId: {result.request_id}\n" in tail
    assert tail.endswith("\tStatus: error\tError Type: Runtime.ExitError\n")


def test_custom_runtimes_have_no_exec_wrapper(make_function, invoke):
    """As in AWS: a runtime of one's own can do as it likes."""
    code = """#!/bin/bash
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
id=$(curl -sS -o /dev/null -D - "$api/next" | tr -d '\\r' | awk '/Aws-Request-Id/ { print $2 }')
curl -sS -d "\\"$AWS_LAMBDA_EXEC_WRAPPER\\"" "$api/$id/response"
"""
    name = make_function("wrapped-custom", {"bootstrap": code}, runtime="provided.al2023",
                         Environment=wrapper("/var/task/none"))
    assert invoke(name).value == "/var/task/none"


def test_environment(invoke, function):
    env = invoke(function, {"do": "env"}).value
    expected = {
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": function, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/" + function,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "AWS_EXECUTION_ENV": "AWS_Lambda_" + ("python3.13" if is_python(function) else "nodejs20.x"),
        "LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime", "_HANDLER": "app.handler",
        "LANG": "en_US.UTF-8", "COLOUR": "grün & blue", "TZ": "Europe/Paris",
    }
    assert {name: env.get(name) for name in expected} == expected
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PATH", "LD_LIBRARY_PATH",
            "AWS_LAMBDA_LOG_STREAM_NAME"} <= set(env)
    assert env["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    foreign = [name for name in env if name.startswith(("FNRUN", "_FNRUN", "SUDO", "HOME", "USER", "ASAN"))]
    assert not foreign


def test_globals_stay_warm(invoke, function):
    first, second, third = (invoke(function, {"do": "count"}).value for _ in range(3))
    assert (second, third) == (first + 1, first + 2)


def test_log_tail(invoke, function):
    result = invoke(function, {"do": "log"}, LogType="Tail")
    text, request_id = tail(result), result.request_id
    assert f"START RequestId: {request_id} Version: $LATEST\n" in text
    assert "printed line\n" in text
    assert "line on stderr\n" in text
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    record = rf"\[INFO\]\t{stamp}\t{request_id}\tlogged line" if is_python(function) else \
        rf"{stamp}\t{request_id}\tINFO\tlogged line 7\n"
    assert re.search(record, text)
    assert f"END RequestId: {request_id}\n" in text
    report = re.search(rf"^REPORT RequestId: {request_id}\tDuration: (\d+\.\d\d) ms\tBilled Duration: (\d+) ms\t"
                       r"Memory Size: 128 MB\tMax Memory Used: (\d+) MB\t(Init Duration: \d+\.\d\d ms\t)?\n", text, re.M)
    assert report, text
    assert 0 < float(report[1]) <= int(report[2]) <= 5000
    assert 4 < int(report[3]) <= 128
    order = [text.index(mark) for mark in ("START", "printed", "END", "REPORT")]
    assert order == sorted(order)


def test_no_log_unless_asked(invoke, function):
    assert invoke(function, {}).log_result is None


def test_init_duration_is_reported_on_cold_starts_only(make_function, invoke):
    name = make_function("cold-report", {"app.py": "import time\ntime.sleep(0.2)\ndef handler(e, c): return 1\n"})
    cold, warm = (tail(invoke(name, LogType="Tail")) for _ in range(2))
    init = re.search(r"\tInit Duration: (\d+\.\d\d) ms\t", cold)
    assert 200 < float(init[1]) < 5000
    assert "Init Duration" not in warm
    assert "INIT_START Runtime Version: " in cold


def test_long_log_keeps_its_last_4_kb(make_function, invoke):
    name = make_function("long-log", {"app.py": "def handler(e, c):\n    for i in range(2000): print('line', i)\n"})
    text = tail(invoke(name, LogType="Tail"))
    assert len(text.encode()) == 4096
    assert "line 1999\n" in text and "line 0\n" not in text and "REPORT" in text


# --- failures -----------------------------------------------------------------------------------------------------


def test_exception(invoke, function):
    result = invoke(function, {"do": "raise"}, LogType="Tail")
    failure = result.failure
    assert result.status == 200
    assert (failure["errorType"], failure["errorMessage"]) == ("Unhappy", "no luck")
    if is_python(function):
        assert failure["requestId"] == result.request_id
        assert any(re.match(r'  File "/var/task/app.py", line \d+, in do_raise\n', line) for line in failure["stackTrace"])
        assert "[ERROR] Unhappy: no luck" in tail(result)
    else:
        assert failure["trace"][0] == "Unhappy: no luck"
        assert any("/var/task/app.mjs:" in line for line in failure["trace"])
        assert "\tERROR\tInvoke Error \t" in tail(result)
    assert invoke(function, {"do": "echo"}).value == {"do": "echo"}


def test_node_throws_text(make_module_function, invoke):
    failure = invoke("runtime-node", {"do": "throw_text"}).failure
    assert failure["errorType"] == "string"
    assert failure["errorMessage"] == "just text"


def test_node_unhandled_rejection(invoke):
    failure = invoke("runtime-node", {"do": "reject_later"}).failure
    assert failure["errorType"] == "Runtime.UnhandledPromiseRejection"
    assert "nobody listens" in failure["errorMessage"]


def test_node_undefined_is_null(invoke):
    assert invoke("runtime-node", {"do": "nothing"}).value is None


def test_python_result_without_json(invoke):
    failure = invoke("runtime-python", {"do": "set"}).failure
    assert failure["errorType"] == "Runtime.MarshalError"
    assert failure["errorMessage"] == "Unable to marshal response: Object of type set is not JSON serializable"


@pytest.mark.parametrize("status, text", [
    (3, "Runtime exited with error: exit status 3"),
    (255, "Runtime exited with error: exit status 255"),
    (0, "Runtime exited without providing a reason"),
])
def test_exit_status(invoke, function, status, text):
    result = invoke(function, {"do": "exit", "status": status}, LogType="Tail")
    assert result.failure == {"errorType": "Runtime.ExitError",
                              "errorMessage": f"RequestId: {result.request_id} Error: {text}"}
    assert "\tStatus: error\tError Type: Runtime.ExitError\n" in tail(result)
    assert invoke(function, {"do": "count"}).value == 1


BREAK = """
import os, struct, time
FRAMES = {"garbage": b"\\xff" * 100, "kind": struct.pack("<III", 77, 2, 2), "length": struct.pack("<III", 2, 0, 0x7fffffff),
          "ours": struct.pack("<III", 16, 0, 0), "foreign-id": struct.pack("<III", 2, 10, 2) + b'{"id":"x"}{}'}
def handler(event, context):
    os.write(15, FRAMES[event])
    time.sleep(20)
"""


@pytest.mark.parametrize("frame", ["garbage", "kind", "length", "ours", "foreign-id"])
def test_runtime_that_breaks_the_protocol_is_ended_at_once(make_function, invoke, frame):
    name = make_function(f"breaks-{frame}", {"app.py": BREAK}, Timeout=30)
    before = time.monotonic()
    result = invoke(name, frame)
    assert time.monotonic() - before < 10
    assert result.failure == {"errorType": "Runtime.ExitError", "errorMessage":
                              f"RequestId: {result.request_id} Error: Runtime exited with error: signal: killed"}


@pytest.mark.parametrize("signal, text", [(9, "killed"), (15, "terminated"), (6, "aborted"),
                                          (11, "segmentation fault")])
def test_death_by_signal(invoke, function, signal, text):
    result = invoke(function, {"do": "signal", "signal": signal})
    assert result.failure["errorType"] == "Runtime.ExitError"
    assert re.fullmatch(rf"RequestId: {result.request_id} Error: Runtime exited with error: signal: {text}"
                        r"( \(core dumped\))?", result.failure["errorMessage"])


def test_python_sys_exit(invoke):
    assert "exit status 4" in invoke("runtime-python", {"do": "sys_exit", "status": 4}).failure["errorMessage"]


@pytest.mark.parametrize("kind", RUNTIMES)
def test_timeout(make_function, invoke, kind):
    name = make_function("timeout-" + kind, **RUNTIMES[kind], Timeout=1)
    assert invoke(name, {"do": "count"}).value == 1
    started = time.monotonic()
    result = invoke(name, {"do": "sleep", "seconds": 30}, LogType="Tail")
    assert 1 <= time.monotonic() - started < 2
    text = "Task timed out after 1.00 seconds"
    assert result.failure == {"errorType": "Sandbox.Timedout",
                              "errorMessage": f"RequestId: {result.request_id} Error: {text}"}
    log = tail(result)
    assert "going to sleep" in log
    assert re.search(rf"^\d{{4}}-\d\d-\d\dT\S+Z {result.request_id} {text}\n", log, re.M)
    assert re.search(r"\tDuration: 1\d{3}\.\d\d ms\t.*\tStatus: timeout\n", log)
    assert invoke(name, {"do": "count"}).value == 1


INIT_ERRORS = {
    "py-missing-module": ("python3.13", "nothere.handler", {"app.py": ""}, "Runtime.ImportModuleError",
                          "Unable to import module 'nothere': No module named 'nothere'"),
    "py-missing-import": ("python3.13", "app.handler", {"app.py": "import nothere"}, "Runtime.ImportModuleError",
                          "Unable to import module 'app': No module named 'nothere'"),
    "py-missing-handler": ("python3.13", "app.handler", {"app.py": ""}, "Runtime.HandlerNotFound",
                           "Handler 'handler' missing on module 'app'"),
    "py-syntax": ("python3.13", "app.handler", {"app.py": "def"}, "Runtime.UserCodeSyntaxError",
                  r"Syntax error in module 'app': .*"),
    "py-raises": ("python3.13", "app.handler", {"app.py": "raise ValueError('at import')"}, "ValueError", "at import"),
    "py-exits": ("python3.13", "app.handler", {"app.py": "import os; os._exit(7)"}, "Runtime.ExitError",
                 r"RequestId: \S+ Error: Runtime exited with error: exit status 7"),
    "js-missing-module": ("nodejs20.x", "nothere.handler", {"app.js": ""}, "Runtime.ImportModuleError",
                          r"Error: Cannot find module 'nothere'\n.*"),
    "js-missing-handler": ("nodejs20.x", "app.handler", {"app.js": ""}, "Runtime.HandlerNotFound",
                           "app.handler is undefined or not exported"),
    "js-syntax": ("nodejs20.x", "app.handler", {"app.js": "function {"}, "Runtime.UserCodeSyntaxError",
                  r"SyntaxError: .*"),
    "js-raises": ("nodejs20.x", "app.handler", {"app.js": "throw new RangeError('at import')"}, "RangeError",
                  "at import"),
    "js-exits": ("nodejs20.x", "app.handler", {"app.js": "process.exit(7)"}, "Runtime.ExitError",
                 r"RequestId: \S+ Error: Runtime exited with error: exit status 7"),
}


@pytest.mark.parametrize("name", INIT_ERRORS)
def test_init_error(make_function, invoke, name):
    runtime, handler, files, error_type, message = INIT_ERRORS[name]
    make_function(name, files, runtime=runtime, handler=handler)
    for _ in range(2):
        failure = invoke(name).failure
        assert failure["errorType"] == error_type
        assert re.fullmatch(message, failure["errorMessage"], re.S), failure["errorMessage"]


def test_handler_in_a_folder(make_function, invoke):
    py = make_function("nested-py", {"pkg/__init__.py": "", "pkg/mod.py": "def run(e, c): return 'nested'"},
                       handler="pkg.mod.run")
    js = make_function("nested-js", {"lib/mod.js": "exports.run = async () => 'nested'"}, handler="lib/mod.run",
                       runtime="nodejs20.x")
    assert invoke(py).value == invoke(js).value == "nested"


def test_update_takes_effect_at_once(make_function, lam, invoke):
    from conftest import make_zip
    name = make_function("updated", {"app.py": "def handler(e, c): return 1"})
    assert invoke(name).value == 1
    lam.update_function_code(FunctionName=name, ZipFile=make_zip({"app.py": "def handler(e, c): return 2"}))
    lam.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    assert invoke(name).value == 2


def test_concurrent_invocations_run_side_by_side(make_function, lam, invoke):
    from concurrent.futures import ThreadPoolExecutor
    name = make_function("parallel", {"app.py": "import os, time\nran = 0\ndef handler(e, c):\n    global ran\n    ran += 1\n"
                                                "    time.sleep(0.5)\n    return ran\n"})
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        results = [r.value for r in pool.map(lambda _: invoke(name), range(8))]
    assert results == [1] * 8, "one sandbox took two invocations while others waited"
    assert time.monotonic() - started < 4
