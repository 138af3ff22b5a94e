"""fnrun's Python runtime beside AWS's: handlers, results, error objects, logging. The expected texts are AWS's."""

import json
import re

import pytest

from runtimes import ARN, start  # noqa: F401 (start is a fixture)

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
EVAL = "def handler(event, context):\n    return eval(event)\n"


@pytest.fixture
def run(start):  # noqa: F811
    """run(source or files, handler, env) -> a started Python runtime."""

    def run(files, handler="app.handler", env=None):
        return start("python", handler, {"app.py": files} if isinstance(files, str) else files, env)

    return run


# --- finding the handler ---


@pytest.mark.parametrize("handler", ["app.handler", "sub/deep/mod.handler", "sub.deep.mod.handler"])
def test_handler_names(run, handler):
    source = "def handler(event, context):\n    return __name__"
    runtime = run({"app.py": source, "sub/deep/mod.py": source}, handler)
    assert runtime.result() == handler.removesuffix(".handler").replace("/", ".")


def test_handler_may_be_any_callable(run):
    runtime = run("class C:\n    def __call__(self, event, context):\n        return 'called'\nhandler = C()")
    assert runtime.result() == "called"


def test_a_module_called_bootstrap_or_errors_is_the_functions_own(run):
    files = {"bootstrap.py": "import errors, codec\ndef h(e, c): return [__file__, errors.X, codec.X]",
             "errors.py": "X = 1", "codec.py": "X = 2"}
    runtime = run(files, "bootstrap.h")
    assert runtime.result() == ["/var/task/bootstrap.py", 1, 2]


INIT_ERRORS = [
    ("app", "", "Runtime.MalformedHandlerName",
     "Bad handler 'app': not enough values to unpack (expected 2, got 1)", []),
    ("app.nope", "", "Runtime.HandlerNotFound", "Handler 'nope' missing on module 'app'", []),
    ("nope.handler", "", "Runtime.ImportModuleError", "Unable to import module 'nope': No module named 'nope'", []),
    ("app.handler", "import gone", "Runtime.ImportModuleError",
     "Unable to import module 'app': No module named 'gone'", []),
    ("app.handler", "\n\ndef handler(e, c) return 1\n", "Runtime.UserCodeSyntaxError",
     "Syntax error in module 'app': expected ':' (app.py, line 3)",
     ['  File "/var/task/app.py" Line 3\n    def handler(e, c) return 1\n']),
    ("sys.exit", "", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module", []),
]


@pytest.mark.parametrize("handler, source, kind, message, stack", INIT_ERRORS)
def test_init_errors(run, handler, source, kind, message, stack):
    runtime = run(source, handler)
    expected = {"errorMessage": message, "errorType": kind, "requestId": "", "stackTrace": stack}
    assert runtime.init_error() == expected
    assert f"[ERROR] {kind}: {message}\rTraceback (most recent call last):" in runtime.logs()


def test_exception_in_the_module(run):
    error = run("print('before')\nraise ValueError('at init')").init_error()
    assert (error["errorType"], error["errorMessage"], error["requestId"]) == ("ValueError", "at init", "")
    place, source = '  File "/var/task/app.py", line 2, in <module>\n', "    raise ValueError('at init')\n"
    assert error["stackTrace"][-1] == place + source
    assert "/var/runtime" not in "".join(error["stackTrace"])


def test_exit_in_the_module(run):
    runtime = run("import sys\nsys.exit(4)")
    assert runtime.first is None and runtime.exit_status() == 4


# --- results ---

RESULTS = [
    ("None", "null"),
    ("'ä\\u2028\"'", '"ä\u2028\\""'),
    ("{'a': [1, 2.5, True], 'b': (1,)}", '{"a": [1, 2.5, true], "b": [1]}'),
    ("[1.0, 1e100, 10**30, -0.0]", "[1.0, 1e+100, 1000000000000000000000000000000, -0.0]"),
    ("[float('nan'), float('inf')]", "[NaN, Infinity]"),
    ("{1: 'i', None: 'n', 1.5: 'f'}", '{"1": "i", "null": "n", "1.5": "f"}'),
    ("__import__('collections').namedtuple('P', 'x y')(1, [2])", '{"x": 1, "y": [2]}'),
    ("__import__('decimal').Decimal('12345678901234567890.123')", "12345678901234567890.123"),
    ("[__import__('decimal').Decimal('5')]", "[5]"),
    ("__import__('enum').IntEnum('E', 'A').A", "1"),
    ("__import__('collections').OrderedDict(a=1)", '{"a": 1}'),
    ("{b'k': b'v'}", '{"k": "v"}'),
    ("b'as it is'", "as it is"),
]


def test_results(run):
    runtime = run(EVAL)
    assert [runtime.invoke(source).body.decode() for source, _ in RESULTS] == [body for _, body in RESULTS]


UNMARSHALLABLE = [
    ("{1, 2}", "Object of type set is not JSON serializable"),
    ("{'a': [object()]}", "Object of type object is not JSON serializable"),
    ("(x for x in 'ab')", "Object of type generator is not JSON serializable"),
    ("{(1,): 2}", "keys must be str, int, float, bool or None, not tuple"),
    ("(lambda a: (a.append(a), a)[1])([])", "Circular reference detected"),
    ("[b'\\xff']", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ("'\\ud800'", "'utf-8' codec can't encode character '\\ud800' in position 1: surrogates not allowed"),
]


def test_marshal_errors(run):
    runtime = run(EVAL)
    for source, message in UNMARSHALLABLE:
        error = runtime.error(source)
        message = f"Unable to marshal response: {message}"
        assert error == {"errorMessage": message, "errorType": "Runtime.MarshalError", "requestId": runtime.id,
                         "stackTrace": []}
    assert runtime.result("1") == 1


def test_coroutine_handler_is_a_marshal_error(run):
    error = run("async def handler(event, context): return 1").error()
    assert error["errorMessage"] == "Unable to marshal response: Object of type coroutine is not JSON serializable"


def test_event_that_is_no_json(run):
    runtime = run(EVAL)
    runtime.send(b"{")
    error = runtime.receive().value
    assert error["errorType"] == "Runtime.UnmarshalError"
    assert error["errorMessage"].startswith("Unable to unmarshal input: Expecting property name")


# --- errors of the handler ---

RAISES = """class Mine(Exception): pass
class Mute(Exception):
    def __str__(self): raise RuntimeError
def inner(name):
    raise eval(name)
def handler(event, context):
    inner(event)
"""


def test_error_object_and_its_log_record(run):
    runtime = run(RAISES)
    error = runtime.error("Mine('b\\u00e4d')")
    assert list(error) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert error == {
        "errorMessage": "bäd", "errorType": "Mine", "requestId": runtime.id,
        "stackTrace": ['  File "/var/task/app.py", line 7, in handler\n    inner(event)\n',
                       '  File "/var/task/app.py", line 5, in inner\n    raise eval(name)\n'],
    }
    assert runtime.logs_now() == (
        '[ERROR] Mine: bäd\rTraceback (most recent call last):\r\xa0\xa0File "/var/task/app.py", line 7, in handler\r'
        '\xa0\xa0\xa0\xa0inner(event)\r\xa0\xa0File "/var/task/app.py", line 5, in inner\r'
        '\xa0\xa0\xa0\xa0raise eval(name)\n'
    )


def test_error_messages(run):
    runtime = run(RAISES)
    assert runtime.error("KeyError('k')")["errorMessage"] == "'k'"
    assert runtime.error("Mine()")["errorMessage"] == ""
    assert runtime.logs_now().split("\n")[-2].startswith("[ERROR] Mine\rTraceback")
    assert runtime.error("Mute()")["errorMessage"] == "<exception str() failed>"
    assert runtime.error("Mine('\\ud800')")["errorMessage"] == "\ud800"


def test_wrong_signature_shows_the_call(run):
    error = run("def handler(event): pass").error()
    assert error["errorMessage"] == "handler() takes 1 positional argument but 2 were given"
    assert len(error["stackTrace"]) == 1 and "/var/runtime/" in error["stackTrace"][0]


def test_deep_recursion_is_folded(run):
    error = run("def handler(event, context): return handler(event, context)").error()
    assert error["errorType"] == "RecursionError"
    assert "Previous line repeated" in error["stackTrace"][-1] and len(error["stackTrace"]) < 10


@pytest.mark.parametrize("name, status", [("SystemExit(7)", 7), ("SystemExit", 0), ("KeyboardInterrupt", -2)])
def test_what_is_no_exception_ends_the_process(run, name, status):
    runtime = run(f"def handler(event, context): raise {name}")
    assert runtime.invoke() is None
    assert runtime.exit_status() == status


# --- the context object ---


def test_context_fields(run):
    runtime = run("def handler(event, c): return [{k: str(v) for k, v in vars(c).items() if k[0] != '_'}, repr(c)]")
    fields, text = runtime.result()
    no_identity = "CognitoIdentity([cognito_identity_id=None,cognito_identity_pool_id=None])"
    assert fields == {
        "aws_request_id": runtime.id, "log_group_name": "/aws/lambda/fn", "function_name": "fn",
        "log_stream_name": "2026/01/02/[$LATEST]0123", "memory_limit_in_mb": "128", "function_version": "$LATEST",
        "invoked_function_arn": ARN, "client_context": "None", "identity": no_identity, "tenant_id": "None",
    }
    assert text == (
        f"LambdaContext([aws_request_id={runtime.id},log_group_name=/aws/lambda/fn,log_stream_name="
        f"2026/01/02/[$LATEST]0123,function_name=fn,memory_limit_in_mb=128,function_version=$LATEST,"
        f"invoked_function_arn={ARN},client_context=None,identity={no_identity},tenant_id=None])"
    )


def test_context_log_writes_what_it_is_given(run):
    runtime = run("def handler(event, c): c.log('a'); c.log({'b': 1}); c.log('\\n'); return c.memory_limit_in_mb")
    assert runtime.result() == "128"
    assert runtime.logs_now() == "a{'b': 1}\n"


# --- logging ---

LOGGING = """import logging
logging.warning("at init")
def handler(event, context):
    logging.getLogger("x").error("%s\\nlines", "two")
    logging.info("not shown")
    logging.getLogger().setLevel(logging.DEBUG)
    logging.debug("shown")
    try: 1 / 0
    except ZeroDivisionError: logging.exception("caught")
    logging.basicConfig(format="no effect: there is a handler")
    logging.getLogger().handlers[0].setFormatter(logging.Formatter("own %(aws_request_id)s %(message)s"))
    logging.info("last")
"""


def test_log_records(run):
    runtime = run(LOGGING)
    runtime.result()
    record = rf"\[%s\]\t{TIME}\t{runtime.id}\t"
    expected = [
        rf"\[WARNING\]\t{TIME}\t\tat init", record % "ERROR" + "two", "lines", record % "DEBUG" + "shown",
        record % "ERROR" + "caught", r"Traceback \(most recent call last\):",
    ]
    lines = runtime.logs_now().splitlines()
    for pattern, line in zip(expected, lines):
        assert re.fullmatch(pattern, line), (pattern, line)
    assert lines[-2:] == ["ZeroDivisionError: division by zero", f"own {runtime.id} last"]


def test_logging_is_the_standard_librarys(run):
    runtime = run({"app.py": "import logging\ndef handler(e, c): return logging.__file__", "logging.py": "broken ="})
    assert runtime.result() == "/usr/lib/python3.13/logging/__init__.py"


def test_logging_is_not_loaded_for_functions_without_it(run):
    runtime = run("import sys\ndef handler(e, c): return [m in sys.modules for m in ('logging', 're', 'json', 'site')]")
    assert runtime.result() == [False] * 4


# --- the interpreter around the function ---


def test_path_begins_with_task_and_layers(run):
    source = "import sys\ndef handler(e, c): return sys.path"
    path = run(source).result()
    assert path[:4] == ["/var/task", "/opt/python/lib/python3.13/site-packages", "/opt/python", "/var/runtime"]
    assert path[-1] == "/usr/lib/python3/dist-packages" and len(path) == len(set(path))
    path = run(source, env={"PYTHONPATH": "/opt/own"}).result()
    assert path[:2] == ["/var/task", "/opt/own"] and "/opt/python" not in path


def test_path_files_of_the_function_are_read(run):
    source = "import extra\ndef handler(e, c): return extra.X"
    runtime = run({"app.py": source, "lib/extra.py": "X = 5", "a.pth": "lib\n"})
    assert runtime.result() == 5


def test_bundled_sdk_and_interactive_helpers(run):
    runtime = run("def handler(e, c):\n    if e: exit(6)\n    import boto3\n    return boto3.__name__")
    assert runtime.result() == "boto3"
    assert runtime.invoke(1) is None and runtime.exit_status() == 6


def test_child_processes_by_multiprocessing(run):
    source = """import multiprocessing, os
def work(pipe): pipe.send(os.getpid())
def handler(event, context):
    method = multiprocessing.get_context(event)
    ours, theirs = method.Pipe()
    process = method.Process(target=work, args=(theirs,)); process.start(); process.join(9)
    return [ours.recv() != os.getpid(), process.exitcode]
"""
    runtime = run(source)
    assert runtime.result("fork") == [True, 0]
    assert runtime.result("spawn") == [True, 0]


def test_threads_of_a_failed_init_do_not_keep_the_process(run):
    source = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\nraise ValueError('x')"
    assert run(source).init_error()["errorMessage"] == "x"


def test_exit_handlers_do_not_delay_the_end(run):
    runtime = run("import atexit, time\natexit.register(time.sleep, 60)\ndef handler(e, c): return X\nX = 1")
    assert runtime.result() == 1
    assert runtime.exit_status() == 0


def test_replaced_stdout_does_not_swallow_the_runtimes_records(run):
    runtime = run("import io, sys\ndef handler(e, c):\n    sys.stdout = io.StringIO()\n    raise ValueError('seen')")
    runtime.error()
    assert "[ERROR] ValueError: seen\r" in runtime.logs_now()


def test_unusual_json_events(run):
    runtime = run("def handler(event, context): return repr(event)")
    for body in (b' [1, "a"] \n', b'"\\ud83d\\ude00"', b"-0.5e3", b"123456789012345678901", b'{"a": {"a": null}}'):
        runtime.send(body)
        assert runtime.receive().value == repr(json.loads(body))
