"""fnrun's Node.js runtime beside AWS's: handlers, callbacks, error objects, console. The expected texts are AWS's."""

import json
import re

import pytest

from runtimes import ARN, RESPONSE, start  # noqa: F401 (start is a fixture)

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
ASYNC = "exports.handler = async (event, context) => eval(event);"
CALLBACK = "exports.handler = (event, context, callback) => { eval(event); return 'ignored'; };"


@pytest.fixture
def run(start):  # noqa: F811
    """run(source or files, handler, env) -> a started Node.js runtime."""

    def run(files, handler="index.handler", env=None):
        return start("node", handler, {"index.js": files} if isinstance(files, str) else files, env)

    return run


def log_details(runtime, title):
    """The JSON of the one log record with this title."""
    pattern = rf"{TIME}\t(\S+)\tERROR\t{title} \t(.*)\n"
    (request_id, details), = re.findall(pattern, runtime.logs_now())
    return request_id, json.loads(details)


# --- finding the handler ---

MODULES = {
    "index.js": "exports.handler = async () => 'js'; exports.a = { b: { c: async () => 'nested' }, text: 'x' };",
    "es.mjs": "import fs from 'fs'; await 1; export const handler = async () => typeof fs.readFileSync;",
    "common.cjs": "exports.handler = async () => 'cjs';",
    "typed/package.json": '{"type": "module"}',
    "typed/in/es.js": "export const handler = async () => import.meta.url;"
    "export default { f: async () => 'default' };",
    "typed/node_modules/p/index.js": "",
    "sub.x/deep/file.js": "exports.handler = async () => __filename;",
    "plain": "exports.handler = async () => 'no extension';",
    "node_modules/pkg/index.js": "exports.handler = async () => 'package';",
}
HANDLERS = {
    "index.handler": "js",
    "index.a.b.c": "nested",
    "es.handler": "function",
    "common.handler": "cjs",
    "typed/in/es.handler": "file:///var/task/typed/in/es.js",
    "typed/in/es.default.f": "default",
    "./sub.x/deep/file.handler": "/var/task/sub.x/deep/file.js",
    "plain.handler": "no extension",
    "pkg.handler": "package",
}


@pytest.mark.parametrize("handler", HANDLERS)
def test_handler_names(run, handler):
    assert run(MODULES, handler).result() == HANDLERS[handler]


REQUIRE_STACK = "\nRequire stack:\n- /var/runtime/index.mjs"
DOTS = "is not a valid handler name. Use absolute paths when specifying root directories in handler names."
INIT_ERRORS = [
    ("index", "", "Runtime.MalformedHandlerName", "Bad handler"),
    ("../x/index.handler", "", "Runtime.MalformedHandlerName", f"'../x/index.handler' {DOTS}"),
    ("index.x", "", "Runtime.HandlerNotFound", "index.x is undefined or not exported"),
    ("index.a.b.x", "exports.a = {};", "Runtime.HandlerNotFound", "index.a.b.x is undefined or not exported"),
    ("index.x", "exports.x = 5;", "Runtime.HandlerNotFound", "index.x is not a function"),
    ("gone.x", "", "Runtime.ImportModuleError", f"Error: Cannot find module 'gone'{REQUIRE_STACK}"),
    ("index.x", "require('gone');", "Runtime.ImportModuleError",
     "Error: Cannot find module 'gone'\nRequire stack:\n- /var/task/index.js\n- /var/runtime/index.mjs"),
    ("index.x", "exports.x = async( => 1;", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected token '=>'"),
    ("index.x", "throw new RangeError('at init');", "RangeError", "at init"),
    ("index.x", "throw 'text';", "string", "text"),
]


@pytest.mark.parametrize("handler, source, kind, message", INIT_ERRORS)
def test_init_errors(run, handler, source, kind, message):
    runtime = run(source, handler)
    error = runtime.init_error()
    assert (error["errorType"], error["errorMessage"]) == (kind, message)
    assert list(error) == ["errorType", "errorMessage", "trace"]
    if kind != "string":
        assert "\n".join(error["trace"]).startswith(f"{kind}: {message}\n    at ")
    request_id, details = log_details(runtime, "Uncaught Exception")
    assert request_id == "undefined" and details["errorMessage"] == message and "trace" not in details
    assert details["stack"] == error["trace"] or kind == "string"


def test_missing_import_of_an_es_module(run):
    error = run({"index.mjs": "import 'gone'; export const handler = 1;"}).init_error()
    assert error["errorType"] == "Error"
    assert error["errorMessage"] == "Cannot find package 'gone' imported from /var/task/index.mjs"


def test_failures_of_init_outside_the_handlers_module(run):
    runtime = run({"index.mjs": "Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 1000));"})
    assert runtime.init_error()["errorType"] == "Runtime.UnhandledPromiseRejection"


def test_exit_in_the_module(run):
    runtime = run("process.exit(4)")
    assert runtime.first is None and runtime.exit_status() == 4


# --- results ---

RESULTS = [
    ("undefined", "null"), ("null", "null"), ("NaN", "null"), ("'ä\\u2028'", '"ä\u2028"'), ("'\\ud800'", '"\\ud800"'),
    ("({ a: undefined, b: () => 1, d: new Date(0) })", '{"d":"1970-01-01T00:00:00.000Z"}'),
    ("Buffer.from('a')", '{"type":"Buffer","data":[97]}'), ("[1, 2.5, true]", "[1,2.5,true]"),
    ("({ then: (resolve) => resolve('thenable') })", '"thenable"'),
]


def test_results(run):
    runtime = run(ASYNC)
    assert [runtime.invoke(source).body.decode() for source, _ in RESULTS] == [body for _, body in RESULTS]


def test_results_without_json_form(run):
    runtime = run(ASYNC)
    for source in ("1n", "(() => { const a = {}; a.a = a; return a; })()", "() => 1", "Symbol('s')"):
        error = runtime.error(source)
        assert (error["errorType"], error["errorMessage"]) == ("Error", "Unable to stringify response body")
        assert error["trace"][0] == "Error: Unable to stringify response body" and len(error["trace"]) > 1


# --- errors of the handler ---


def test_error_object_and_its_log_record(run):
    runtime = run("class Mine extends Error {}\nexports.handler = async (event) => {\n  throw new Mine('b\\nad');\n};")
    error = runtime.error()
    assert list(error) == ["errorType", "errorMessage", "trace"]
    assert (error["errorType"], error["errorMessage"]) == ("Error", "b\nad")
    assert error["trace"][:2] == ["Error: b", "ad"]
    assert re.fullmatch(r"    at .*handler.* \(/var/task/index.js:3:9\)", error["trace"][2])
    request_id, details = log_details(runtime, "Invoke Error")
    assert request_id == runtime.id
    assert details == {"errorType": "Error", "errorMessage": "b\nad", "stack": error["trace"]}


def test_error_details_are_logged(run):
    runtime = run(ASYNC)
    details = "{ name: 'Näme', code: 'C', extra: { x: 1 }, cause: new Error('c') }"
    source = f"throw Object.assign(new TypeError('t'), {details})"
    assert runtime.error(source)["errorType"] == "Näme"
    _, details = log_details(runtime, "Invoke Error")
    assert list(details) == ["errorType", "errorMessage", "code", "name", "extra", "cause", "stack"]
    assert details["extra"] == {"x": 1} and details["cause"]["errorMessage"] == "c" and details["cause"]["stack"]


THROWN = [
    ("'text'", "string", "text"), ("5", "number", "5"), ("{ a: 1 }", "object", "[object Object]"),
    ("null", "string", "handled"), ("undefined", "string", "handled"),
]


def test_what_is_thrown_need_not_be_an_error(run):
    runtime = run("exports.handler = async (event) => { throw eval(`(${event})`); };")
    for source, kind, message in THROWN:
        error = runtime.error(source)
        assert error == {"errorType": kind, "errorMessage": message, "trace": []}
        _, details = log_details(runtime, "Invoke Error")
        assert details == {"errorType": "Error", "errorMessage": message, "stack": [f"Error: {message}"]}


def test_errors_that_cannot_be_described(run):
    runtime = run("exports.handler = async (event) => { throw eval(`(${event})`); };")
    for source in ("Object.create(null)", "Object.assign(new Error(), { stack: 5 })"):
        error = runtime.error(source)
        assert error["errorType"] == "handled"
        assert error["errorMessage"].startswith("callback called with Error argument")


def test_errors_of_another_realm_and_circular_errors(run):
    runtime = run(ASYNC)
    assert runtime.error("require('vm').runInNewContext('throw new RangeError(\"vm\")')")["errorType"] == "RangeError"
    assert runtime.error("const e = new Error('round'); e.self = e; throw e")["errorMessage"] == "round"
    assert '"errorMessage":"round"' in runtime.logs_now()


def test_event_that_is_no_json(run):
    runtime = run(ASYNC)
    runtime.send(b"{")
    assert runtime.receive().value["errorType"] == "SyntaxError"


# --- callbacks and the old ways to give a result ---

CALLBACKS = [
    ("callback(null, 1)", 1), ("callback(null)", None), ("callback()", None), ("context.succeed(4)", 4),
    ("context.done(null, 5)", 5), ("setTimeout(() => callback(null, 'late'), 20)", "late"),
    ("callback(null, 1); callback(null, 2)", 1), ("callback(null, undefined); callback(null, 2)", None),
    ("1", None), ("setTimeout(() => 1, 20)", None), ("context.succeed(7); context.succeed(6)", 7),
    ("callback(null, 8); setTimeout(() => context.fail(new Error('too late')), 10)", 8),
]


def test_callbacks(run):
    runtime = run(CALLBACK)
    assert [runtime.result(source) for source, _ in CALLBACKS] == [result for _, result in CALLBACKS]


CALLBACK_ERRORS = [
    ("callback(new Error('x'))", "Error", "x"), ("callback('s')", "string", "s"),
    ("context.fail(new RangeError('f'))", "RangeError", "f"), ("context.fail()", "string", "handled"),
    ("context.done('e')", "string", "e"), ("throw undefined", "string", "handled"),
    ("context.done = callback; callback('same')", "string", "same"),
    ("throw new TypeError('sync')", "TypeError", "sync"),
]


def test_callback_errors(run):
    runtime = run(CALLBACK)
    for source, kind, message in CALLBACK_ERRORS:
        error = runtime.error(source)
        assert (error["errorType"], error["errorMessage"]) == (kind, message)
    assert runtime.result("callback(null, 'still there')") == "still there"


def test_callback_waits_for_the_empty_loop_unless_told_not_to(run):
    runtime = run(CALLBACK)
    later = "setTimeout(() => console.log('later'), 100);"
    runtime.result(f"{later} callback(null, 1)")
    assert "later" in runtime.logs_now()
    for rest in ("context.callbackWaitsForEmptyEventLoop = false; callback(null, 2)", "context.succeed(3)"):
        runtime.result(later + rest)
        assert "later" not in runtime.logs_now()
        # What is left of an invocation goes on between invocations.
        runtime.result("setTimeout(() => callback(null), 130)")
        assert "later" in runtime.logs_now()


def test_promise_that_is_never_settled(run):
    runtime = run(ASYNC)
    assert runtime.result("new Promise(() => {})") is None
    assert runtime.result("1") == 1


def test_results_of_an_earlier_invocation_are_dropped(run):
    runtime = run("""let old;
exports.handler = (event, context, callback) => {
  if (event) { old = callback; context.succeed(1); } else { old(null, 'x'); callback(null, 2); }
};""")
    assert runtime.result(1) == 1
    assert runtime.result(0) == 2


# --- failures outside the handler's promise ---


def test_uncaught_exception(run):
    runtime = run(ASYNC)
    source = "setTimeout(() => { throw new RangeError('later'); }, 10); new Promise(() => {})"
    assert runtime.error(source)["errorType"] == "RangeError"
    assert log_details(runtime, "Uncaught Exception")[1]["errorMessage"] == "later"
    assert runtime.receive() is None and runtime.exit_status() == 129


def test_unhandled_rejection(run):
    runtime = run(ASYNC)
    error = runtime.error("Promise.reject(new Error('lost')), new Promise((r) => setTimeout(r, 50))")
    assert (error["errorType"], error["errorMessage"]) == ("Runtime.UnhandledPromiseRejection", "Error: lost")
    assert error["trace"][0] == "Runtime.UnhandledPromiseRejection: Error: lost"
    _, details = log_details(runtime, "Unhandled Promise Rejection")
    assert details["reason"]["errorMessage"] == "lost" and details["promise"] == {}
    assert runtime.receive() is None and runtime.exit_status() == 128


def test_failure_between_invocations_answers_none(run):
    runtime = run(ASYNC)
    assert runtime.result("setTimeout(() => { throw new Error('idle'); }, 20), 1") == 1
    assert runtime.receive() is None
    assert runtime.exit_status() == 129 and log_details(runtime, "Uncaught Exception")[1]["errorMessage"] == "idle"


# --- the context object ---


def test_context_fields(run):
    source = """exports.handler = async (event, c) =>
      [Object.keys(c), c, ['succeed', 'fail', 'done', 'getRemainingTimeInMillis'].map((f) => typeof c[f])];"""
    runtime = run(source)
    keys, context, functions = runtime.result()
    assert keys == ["callbackWaitsForEmptyEventLoop", "succeed", "fail", "done", "functionVersion", "functionName",
                    "memoryLimitInMB", "logGroupName", "logStreamName", "clientContext", "identity",
                    "invokedFunctionArn", "awsRequestId", "tenantId", "getRemainingTimeInMillis"]
    assert context == {
        "callbackWaitsForEmptyEventLoop": True, "functionVersion": "$LATEST", "functionName": "fn",
        "memoryLimitInMB": "128", "logGroupName": "/aws/lambda/fn", "logStreamName": "2026/01/02/[$LATEST]0123",
        "invokedFunctionArn": ARN, "awsRequestId": runtime.id,
    }
    assert functions == ["function"] * 4


# --- output ---

CONSOLE = """console.log('init');
exports.handler = async () => {
  console.log('multi\\nline %s %d', { a: { b: { c: { d: 1 } } } }, 5, 'x'); console.info('i'); console.warn('w');
  console.error('e'); console.debug('d'); console.trace('t'); console.log(); process.stdout.write('raw\\n');
  console.table([{ a: 1 }]); console.assert(false, 'as'); console.dir({ a: 1 });
};"""


def test_console(run):
    runtime = run(CONSOLE)
    runtime.result()
    table = "┌─────────┬───┐\r│ (index) │ a │\r├─────────┼───┤\r│ 0       │ 1 │\r└─────────┴───┘"
    expected = ["INFO\tmulti\rline { a: [Object] } 5 x", "INFO\ti", "WARN\tw", "ERROR\te", "DEBUG\td", "TRACE\tt",
                "INFO\tundefined", "raw", f"INFO\t{table}", "WARN\tAssertion failed: as", "{ a: 1 }", ""]
    init, *lines = runtime.logs_now().split("\n")
    assert re.fullmatch(rf"{TIME}\tundefined\tINFO\tinit", init)
    assert [re.sub(rf"^{TIME}\t{runtime.id}\t", "", line) for line in lines] == expected


def test_output_larger_than_the_pipe_comes_before_the_reply(run):
    output = "process.stdout.write(big); console.log(big); process.stdout.write('end');"
    runtime = run(f"exports.handler = async (big) => {{ {output} }};")
    big = "x" * 300000
    runtime.send(json.dumps(big).encode())
    seen = ""
    while not seen.endswith("end"):
        seen += runtime.logs_now()
    assert seen.count("x") == 2 * len(big)
    assert runtime.receive().kind == RESPONSE


def test_listeners_do_not_pile_up(run):
    result = "process.listenerCount('beforeExit') + n"
    runtime = run(f"exports.handler = async (n) => {{ await new Promise(setImmediate); return {result}; }};")
    first = runtime.result(0)
    assert [runtime.result(n) for n in range(50)] == [first + n for n in range(50)]
