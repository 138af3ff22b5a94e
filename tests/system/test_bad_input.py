"""Bad input: each case gets AWS's error, and leaves nothing behind."""

import base64
import http.client
import json
import os
import re
import socket
import time

import pytest

import hostile_zips as zips
from instance import wait_until

ROLE = "arn:aws:iam::000000000000:role/test"
FUNCTIONS = "/2015-03-31/functions"
VICTIM = "bad-input-victim"
NEW = "bad-input-new"
ARN = f"arn:aws:lambda:us-east-1:000000000000:function:{NEW}"
VICTIM_ARN = f"arn:aws:lambda:us-east-1:000000000000:function:{VICTIM}"
INVOKE = f"{FUNCTIONS}/{VICTIM}/invocations"
CODE = f"{FUNCTIONS}/{VICTIM}/code"
CONFIG = f"{FUNCTIONS}/{VICTIM}/configuration"

VALIDATION = "ValidationException"
PARAMETER = "InvalidParameterValueException"
SERIALIZATION = "SerializationException"
CONTENT = "InvalidRequestContentException"
NOT_FOUND = "ResourceNotFoundException"

NAME_PATTERN = r"""(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?\
(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?""".replace("\\\n", "")
NAMESPACED_PATTERN = NAME_PATTERN.replace(r"([a-zA-Z0-9-_]+)(:(\$LATEST|", r"([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|")
ROLE_PATTERN = r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
RUNTIMES = "[nodejs20.x, python3.13, provided.al2023]"
NO_VALUE = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


def send(fnrun, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", fnrun.port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def create(**members):
    """The body of a CreateFunction that is good but for `members`; a member of None is left out."""
    body = {"FunctionName": NEW, "Runtime": "python3.13", "Role": ROLE, "Handler": "app.handler",
            "Code": {"ZipFile": base64.b64encode(zips.good()).decode()}}
    body.update(members)
    return json.dumps({k: v for k, v in body.items() if v is not None}).encode()


def with_zip(data):
    return create(Code={"ZipFile": base64.b64encode(data).decode()})


def violation(value, member, constraint):
    value = "null" if value is None else f"'{value}'"
    return f"1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {constraint}"


def pattern(value, member, expression):
    return violation(value, member, f"Member must satisfy regular expression pattern: {expression}")


def values(value, member, allowed):
    return violation(value, member, f"Member must satisfy enum value set: [{allowed}]")


def least(value, member, n, what="value"):
    return violation(value, member, f"Member must have {what} greater than or equal to {n}")


def most(value, member, n, what="value"):
    return violation(value, member, f"Member must have {what} less than or equal to {n}")


def unsupported(what):
    return f"fnrun does not support {what} yet."


def case(name, method, path, body, status, error, message, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return pytest.param(method, path, body, headers, status, error, message, id=name)


def bad_create(name, error, message, status=400, **members):
    return case(name, "POST", FUNCTIONS, create(**members), status, error, message)


def bad_event(name, body, message, **headers):
    message = message if isinstance(message, re.Pattern) else (
        f"Could not parse request body into json: Could not parse payload into json: {message}")
    return case(name, "POST", INVOKE, body, 400, CONTENT, message, **headers)


def unexpected(character, line=1, column=1):
    return f"Unexpected character ({character}): expected a valid value {NO_VALUE}\n at {source(line, column)}"


def source(line, column):
    return f"[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, column: {column}]"


BODIES = [
    case("create-broken-json", "POST", FUNCTIONS, b'{"FunctionName": ', 400, SERIALIZATION, re.compile("parse request body")),
    case("create-text-behind", "POST", FUNCTIONS, create() + b"x", 400, SERIALIZATION, re.compile("end of text")),
    case("create-trailing-comma", "POST", FUNCTIONS, b'{"FunctionName":"a",}', 400, SERIALIZATION, re.compile("double-quote")),
    case("create-single-quotes", "POST", FUNCTIONS, b"{'FunctionName':'a'}", 400, SERIALIZATION, re.compile("code 39")),
    case("create-no-utf8", "POST", FUNCTIONS, b'{"Description":"\xff"}', 400, SERIALIZATION, re.compile("UTF-8 start byte 0xff")),
    case("create-nul", "POST", FUNCTIONS, b'{"Description":"a\\u0000b"}', 400, SERIALIZATION, re.compile("u0000")),
    case("create-deep", "POST", FUNCTIONS, b"[" * 5000, 400, SERIALIZATION, re.compile("nesting depth")),
    case("create-list", "POST", FUNCTIONS, b"[]", 400, SERIALIZATION, "Start of list found where not expected"),
    case("create-string", "POST", FUNCTIONS, b'"x"', 400, SERIALIZATION, "STRING_VALUE can not be converted to a structure"),
    case("create-nothing", "POST", FUNCTIONS, b"", 400, VALIDATION,
         "3 validation errors detected: Value null at 'functionName' failed to satisfy constraint: Member must not be null; "
         "Value null at 'role' failed to satisfy constraint: Member must not be null; "
         "Value null at 'code' failed to satisfy constraint: Member must not be null"),
]

TYPES = [
    bad_create("name-number", SERIALIZATION, "NUMBER_VALUE can not be converted to a String", FunctionName=5),
    bad_create("role-list", SERIALIZATION, "Start of list found where not expected", Role=[]),
    bad_create("role-true", SERIALIZATION, "TRUE_VALUE can not be converted to a String", Role=True),
    bad_create("timeout-string", SERIALIZATION, "STRING_VALUE can not be converted to an Integer", Timeout="3"),
    bad_create("timeout-fraction", SERIALIZATION, "NUMBER_VALUE can not be converted to an Integer", Timeout=3.5),
    bad_create("memory-object", SERIALIZATION, "Start of structure or map found where not expected.", MemorySize={}),
    bad_create("publish-string", SERIALIZATION, "STRING_VALUE can not be converted to a Boolean", Publish="yes"),
    bad_create("code-string", SERIALIZATION, "STRING_VALUE can not be converted to a structure", Code="x"),
    bad_create("zip-number", SERIALIZATION, "NUMBER_VALUE can not be converted to a String", Code={"ZipFile": 1}),
    bad_create("layers-string", SERIALIZATION, "Expected list or null", Layers="x"),
    bad_create("variables-list", SERIALIZATION, "Start of list found where not expected", Environment={"Variables": []}),
    bad_create("variable-number", SERIALIZATION, "NUMBER_VALUE can not be converted to a String",
               Environment={"Variables": {"AB": 1}}),
    bad_create("tag-null", SERIALIZATION, "NULL_VALUE can not be converted to a String", Tags={"a": None}),
]

CONSTRAINTS = [
    bad_create("no-name", VALIDATION, violation(None, "functionName", "Member must not be null"), FunctionName=None),
    bad_create("no-role", VALIDATION, violation(None, "role", "Member must not be null"), Role=None),
    bad_create("no-code", VALIDATION, violation(None, "code", "Member must not be null"), Code=None),
    bad_create("name-colons", VALIDATION, pattern("invalid:function:name", "functionName", NAME_PATTERN),
               FunctionName="invalid:function:name"),
    bad_create("name-space", VALIDATION, pattern("a b", "functionName", NAME_PATTERN), FunctionName="a b"),
    bad_create("name-path", VALIDATION, pattern("../../etc/passwd", "functionName", NAME_PATTERN),
               FunctionName="../../etc/passwd"),
    bad_create("name-dot", VALIDATION, pattern("a.b", "functionName", NAME_PATTERN), FunctionName="a.b"),
    bad_create("name-empty", VALIDATION, pattern("", "functionName", NAME_PATTERN), FunctionName=""),
    bad_create("name-umlaut", VALIDATION, pattern("fünf", "functionName", NAME_PATTERN), FunctionName="fünf"),
    bad_create("name-65", PARAMETER, most("a" * 65, "functionName", 64, "length"), FunctionName="a" * 65),
    bad_create("name-141", VALIDATION, most("a" * 141, "functionName", 140, "length"), FunctionName="a" * 141),
    bad_create("role", VALIDATION, pattern("r1", "role", ROLE_PATTERN), Role="r1"),
    bad_create("handler-space", VALIDATION, pattern("a b", "handler", r"[^\s]+"), Handler="a b"),
    bad_create("handler-129", VALIDATION, most("a" * 129, "handler", 128, "length"), Handler="a" * 129),
    bad_create("description-257", VALIDATION, most("ü" * 257, "description", 256, "length"), Description="ü" * 257),
    bad_create("timeout-0", VALIDATION, least(0, "timeout", 1), Timeout=0),
    bad_create("timeout-901", VALIDATION, most(901, "timeout", 900), Timeout=901),
    bad_create("memory-64", VALIDATION, least(64, "memorySize", 128), MemorySize=64),
    bad_create("memory-10241", VALIDATION, most(10241, "memorySize", 10240), MemorySize=10241),
    bad_create("memory-huge", VALIDATION, most(10**20, "memorySize", 10240), MemorySize=10**20),
    bad_create("memory-negative", VALIDATION, least(-1, "memorySize", 128), MemorySize=-1),
    bad_create("tmp-511", VALIDATION, least(511, "ephemeralStorage.size", 512), EphemeralStorage={"Size": 511}),
    bad_create("tmp-none", VALIDATION, violation(None, "ephemeralStorage.size", "Member must not be null"),
               EphemeralStorage={}),
    bad_create("package-type", VALIDATION, values("Jar", "packageType", "Zip, Image"), PackageType="Jar"),
    bad_create("tracing-mode", VALIDATION, values("On", "tracingConfig.mode", "Active, PassThrough"),
               TracingConfig={"Mode": "On"}),
    bad_create("snap-start", VALIDATION, values("invalidOption", "snapStart.applyOn", "PublishedVersions, None"),
               SnapStart={"ApplyOn": "invalidOption"}),
    bad_create("architectures-two", VALIDATION, most("[x86_64, arm64]", "architectures", 1, "length"),
               Architectures=["x86_64", "arm64"]),
    bad_create("architectures-none", VALIDATION, least("[]", "architectures", 1, "length"), Architectures=[]),
    bad_create("architecture", VALIDATION,
               violation("[X86_64]", "architectures", "Member must satisfy constraint: [Member must satisfy enum value set: "
                         "[x86_64, arm64], Member must not be null]"), Architectures=["X86_64"]),
    bad_create("bucket-short", VALIDATION, least("ab", "code.s3Bucket", 3, "length"),
               Code={"S3Bucket": "ab", "S3Key": "k"}),
    bad_create("variable-name", VALIDATION,
               "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must "
               "satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]",
               Environment={"Variables": {"1A": "x"}}),
    bad_create("two-at-once", VALIDATION,
               "2 validation errors detected: Value '0' at 'timeout' failed to satisfy constraint: Member must have value "
               "greater than or equal to 1; Value '1' at 'memorySize' failed to satisfy constraint: Member must have value "
               "greater than or equal to 128", Timeout=0, MemorySize=1),
]

RULES = [
    bad_create("runtime", PARAMETER, f"Value non-existent-runtime at 'runtime' failed to satisfy constraint: Member must "
               f"satisfy enum value set: {RUNTIMES} or be a valid ARN", Runtime="non-existent-runtime"),
    bad_create("runtime-upper-case", PARAMETER, f"Value PYTHON3.13 at 'runtime' failed to satisfy constraint: Member must "
               f"satisfy enum value set: {RUNTIMES} or be a valid ARN", Runtime="PYTHON3.13"),
    bad_create("no-runtime", PARAMETER,
               "Runtime and Handler are mandatory parameters for functions created with deployment packages.", Runtime=None),
    bad_create("no-handler", PARAMETER,
               "Runtime and Handler are mandatory parameters for functions created with deployment packages.", Handler=None),
    bad_create("variables-too-large", PARAMETER,
               "Lambda was unable to configure your environment variables because the environment variables you have "
               'provided exceeded the 4KB limit. String measured: {"SMALL":"ok","LARGE":"' + "x" * 4096 + '"}',
               Environment={"Variables": {"SMALL": "ok", "LARGE": "x" * 4096}}),
    bad_create("variables-reserved", PARAMETER,
               "Lambda was unable to configure your environment variables because the environment variables you have "
               "provided contains reserved keys that are currently not supported for modification. Reserved keys used in "
               "this request: AWS_REGION, LAMBDA_TASK_ROOT",
               Environment={"Variables": {"AWS_REGION": "x", "OK": "1", "LAMBDA_TASK_ROOT": "y"}}),
    bad_create("tags-too-many", PARAMETER, "Number of tags exceeds resource tag limit.", Tags={str(i): "" for i in range(51)}),
    bad_create("name-taken", "ResourceConflictException", f"Function already exist: {VICTIM}", status=409, FunctionName=VICTIM),
    bad_create("name-elsewhere", NOT_FOUND, "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
               status=404, FunctionName=f"arn:aws:lambda:eu-west-1:000000000000:function:{NEW}"),
    bad_create("name-of-another", "AccessDeniedException", None, status=403,
               FunctionName=f"arn:aws:lambda:us-east-1:123456789012:function:{NEW}"),
    bad_create("code-empty", PARAMETER, "Please provide a source for function code.", Code={}),
    bad_create("code-twice", PARAMETER,
               "Please do not provide other FunctionCode parameters when providing a ZipFile.",
               Code={"ZipFile": "UEsFBg==", "S3Bucket": "bucket", "S3Key": "k"}),
    bad_create("code-without-key", PARAMETER, "Please provide a source for function code.", Code={"S3Bucket": "bucket"}),
    bad_create("code-no-bucket", PARAMETER, "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: "
               "The specified bucket does not exist", Code={"S3Bucket": "not-there", "S3Key": "k"}),
    bad_create("code-no-version", PARAMETER, "Error occurred while GetObject. S3 Error Code: NoSuchVersion. S3 Error "
               "Message: The specified version does not exist.",
               Code={"S3Bucket": "not-there", "S3Key": "k", "S3ObjectVersion": "1"}),
    bad_create("publish", PARAMETER, unsupported("publishing versions (Publish)"), Publish=True),
    bad_create("image", PARAMETER, unsupported("container images (PackageType Image)"), PackageType="Image",
               Code={"ImageUri": "x"}),
    bad_create("arm64", PARAMETER, unsupported("the architecture arm64"), Architectures=["arm64"]),
    bad_create("layers", PARAMETER, unsupported("layers (Layers)"),
               Layers=["arn:aws:lambda:us-east-1:000000000000:layer:x:1"]),
    bad_create("vpc", PARAMETER, unsupported("VPCs (VpcConfig)"), VpcConfig={"SubnetIds": ["subnet-1"]}),
    bad_create("efs", PARAMETER, unsupported("network file systems (FileSystemConfigs)"),
               FileSystemConfigs=[{"Arn": "x", "LocalMountPath": "/mnt/x"}]),
    bad_create("json-logs", PARAMETER, unsupported("structured logs (LogFormat JSON)"), LoggingConfig={"LogFormat": "JSON"}),
]

BASE64 = [
    bad_create("zip-no-base64", SERIALIZATION, "ZipFile is no valid Base64", Code={"ZipFile": "***"}),
    bad_create("zip-url-base64", SERIALIZATION, "ZipFile is no valid Base64", Code={"ZipFile": "ab-_"}),
    bad_create("zip-base64-cut", SERIALIZATION, "ZipFile is no valid Base64", Code={"ZipFile": "UEsDB"}),
    bad_create("zip-base64-padding-inside", SERIALIZATION, "ZipFile is no valid Base64", Code={"ZipFile": "UE==UEsD"}),
    bad_create("zip-base64-space", SERIALIZATION, "ZipFile is no valid Base64", Code={"ZipFile": "UEsD\nUEsD"}),
    bad_create("zip-no-bytes", PARAMETER, "Uploaded file must be a non-empty zip", Code={"ZipFile": ""}),
    case("zip-no-entries", "POST", FUNCTIONS, with_zip(zips.pack()), 400, PARAMETER, "Uploaded file must be a non-empty zip"),
    case("update-no-base64", "PUT", CODE, b'{"ZipFile":"!"}', 400, SERIALIZATION, "ZipFile is no valid Base64"),
]

PATHS = [
    case("unknown-path", "GET", "/2015-03-31/nonsense", None, 404, "UnknownOperationException",
         "Unknown operation: GET /2015-03-31/nonsense"),
    case("unknown-method", "PATCH", FUNCTIONS, None, 404, "UnknownOperationException", f"Unknown operation: PATCH {FUNCTIONS}"),
    case("not-there-yet", "GET", f"{FUNCTIONS}/{VICTIM}/aliases", None, 501, "NotImplementedException",
         "fnrun does not implement the operation ListAliases yet."),
    case("get-nobody", "GET", f"{FUNCTIONS}/{NEW}", None, 404, NOT_FOUND, f"Function not found: {ARN}"),
    case("get-qualified-nobody", "GET", f"{FUNCTIONS}/{NEW}?Qualifier=%24LATEST", None, 404, NOT_FOUND,
         f"Function not found: {ARN}:$LATEST"),
    case("get-version", "GET", f"{FUNCTIONS}/{VICTIM}%3A7", None, 404, NOT_FOUND, f"Function not found: {VICTIM_ARN}:7"),
    case("get-two-qualifiers", "GET", f"{FUNCTIONS}/{VICTIM}:1?Qualifier=2", None, 400, PARAMETER,
         "The derived qualifier from the function name does not match the specified qualifier."),
    case("get-bad-qualifier", "GET", f"{FUNCTIONS}/{VICTIM}?Qualifier=a%3Fb", None, 400, VALIDATION,
         pattern("a?b", "qualifier", r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+")),
    case("get-empty-qualifier", "GET", f"{FUNCTIONS}/{VICTIM}?Qualifier=", None, 400, VALIDATION,
         least("", "qualifier", 1, "length")),
    case("get-bad-name", "GET", f"{FUNCTIONS}/a%20b", None, 400, VALIDATION, pattern("a b", "functionName", NAMESPACED_PATTERN)),
    case("get-bad-escape", "GET", f"{FUNCTIONS}/a%zz", None, 400, VALIDATION, pattern("a%zz", "functionName", NAMESPACED_PATTERN)),
    case("get-nul", "GET", f"{FUNCTIONS}/a%00b", None, 400, VALIDATION, pattern("a%00b", "functionName", NAMESPACED_PATTERN)),
    case("get-257", "GET", f"{FUNCTIONS}/{'a' * 257}", None, 400, VALIDATION, most("a" * 257, "functionName", 256, "length")),
    case("get-elsewhere", "GET", f"{FUNCTIONS}/arn%3Aaws%3Alambda%3Aeu-west-1%3A000000000000%3Afunction%3A{VICTIM}", None, 404,
         NOT_FOUND, "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"),
    case("delete-nobody", "DELETE", f"{FUNCTIONS}/{NEW}?Qualifier=3", None, 404, NOT_FOUND, f"Function not found: {ARN}"),
    case("delete-latest", "DELETE", f"{FUNCTIONS}/{VICTIM}?Qualifier=%24LATEST", None, 400, PARAMETER,
         "$LATEST version cannot be deleted without deleting the function."),
    case("delete-version", "DELETE", f"{FUNCTIONS}/{VICTIM}?Qualifier=9", None, 404, NOT_FOUND,
         f"Function not found: {VICTIM_ARN}:9"),
    case("list-none", "GET", f"{FUNCTIONS}?MaxItems=0", None, 400, VALIDATION, least(0, "maxItems", 1)),
    case("list-too-many", "GET", f"{FUNCTIONS}?MaxItems=10001", None, 400, VALIDATION, most(10001, "maxItems", 10000)),
    case("list-words", "GET", f"{FUNCTIONS}?MaxItems=many", None, 400, SERIALIZATION,
         "STRING_VALUE can not be converted to an Integer"),
    case("list-version", "GET", f"{FUNCTIONS}?FunctionVersion=invalid", None, 400, VALIDATION,
         values("invalid", "functionVersion", "ALL")),
    case("update-nobody", "PUT", f"{FUNCTIONS}/{NEW}/configuration", b"{}", 404, NOT_FOUND, f"Function not found: {ARN}"),
    case("update-revision", "PUT", CONFIG, b'{"RevisionId":"x"}', 412, "PreconditionFailedException",
         "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the "
         "latest Revision Id"),
    case("update-timeout", "PUT", CONFIG, b'{"Timeout":1000}', 400, VALIDATION, most(1000, "timeout", 900)),
    case("update-runtime", "PUT", CONFIG, b'{"Runtime":"java21"}', 400, PARAMETER,
         f"Value java21 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: {RUNTIMES} or be a "
         "valid ARN"),
    case("update-code-nothing", "PUT", CODE, b"{}", 400, PARAMETER, "Please provide a source for function code."),
    case("update-code-image", "PUT", CODE, b'{"ImageUri":"x"}', 400, PARAMETER,
         "Please don't provide ImageUri when updating a function with packageType Zip."),
    case("update-code-revision", "PUT", CODE, b'{"ZipFile":"UEsFBg==","RevisionId":"x"}', 412, "PreconditionFailedException",
         re.compile("The Revision Id provided does not match")),
    case("update-code-publish", "PUT", CODE, b'{"ZipFile":"UEsFBg==","Publish":true}', 400, PARAMETER,
         unsupported("publishing versions (Publish)")),
]

EVENTS = [
    bad_event("event-word", b"not json", f"Unrecognized token 'not': was expecting {NO_VALUE}\n at {source(1, 4)}"),
    bad_event("event-no-utf8", b"n\x87r\x9e\xe9", f"Invalid UTF-8 start byte 0x87\n at {source(1, 3)}"),
    bad_event("event-control", b"\x99\xeb,j\x07", unexpected("(CTRL-CHAR, code 153)")),
    bad_event("event-space", b"  ", re.compile("Unexpected end-of-input")),
    bad_event("event-cut", b'{"a": [1, 2', re.compile("Unexpected end-of-input")),
    bad_event("event-two", b"{} {}", re.compile("line: 1, column: 4")),
    bad_event("event-second-line", b'{\n  "a": 1,\n  b: 2}', re.compile("line: 3, column: 3")),
    bad_event("event-nan", b"NaN", re.compile("Unrecognized token 'NaN'")),
    bad_event("event-deep", b"[" * 1001 + b"]" * 1001, re.compile("nesting depth")),
    bad_event("async-event-word", b"nope", re.compile("Unrecognized token 'nope'"), X_Amz_Invocation_Type="Event"),
    bad_event("context-no-base64", b"{}", re.compile("^Client context must be a valid Base64-encoded JSON object.$"),
              X_Amz_Client_Context="{}"),
    bad_event("context-no-object", b"{}", re.compile("^Client context must be a valid"), X_Amz_Client_Context="WzFd"),
    case("invocation-type", "POST", INVOKE, b"{}", 400, VALIDATION,
         values("Later", "invocationType", "Event, RequestResponse, DryRun"), X_Amz_Invocation_Type="Later"),
    case("log-type", "POST", INVOKE, b"{}", 400, VALIDATION, values("Head", "logType", "None, Tail"), X_Amz_Log_Type="Head"),
    case("invoke-nobody", "POST", f"{FUNCTIONS}/{NEW}/invocations", b"{}", 404, NOT_FOUND, f"Function not found: {ARN}"),
    case("invoke-nobody-async", "POST", f"{FUNCTIONS}/{NEW}/invocations", b"{}", 404, NOT_FOUND, f"Function not found: {ARN}",
         X_Amz_Invocation_Type="Event"),
    case("invoke-alias", "POST", f"{INVOKE}?Qualifier=live", b"{}", 404, NOT_FOUND, f"Function not found: {VICTIM_ARN}:live"),
    case("invoke-bad-name", "POST", f"{FUNCTIONS}/arn:aws:lambda:us-east-1:1234@function:myfn/invocations", b"{}", 400,
         VALIDATION, pattern("arn:aws:lambda:us-east-1:1234@function:myfn", "functionName", NAMESPACED_PATTERN)),
    case("event-6-mib", "POST", INVOKE, b'"' + b"x" * 6291455 + b'"', 413, "RequestTooLargeException",
         "Request must be smaller than 6291456 bytes for the InvokeFunction operation"),
    case("async-event-1-mib", "POST", INVOKE, b'"' + b"x" * 1048575 + b'"', 413, "RequestEntityTooLargeException",
         "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
         X_Amz_Invocation_Type="Event"),
]


# --- nothing is left behind ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def victim(make_module_function):
    make_module_function(VICTIM, {"app.py": "def handler(event, context):\n    return event\n"})


def stored(fnrun):
    """All that bad input could have left: packages, unpacked or not, logs, and the records of functions."""
    data = fnrun.state / "data"
    names = [f["FunctionName"] for f in json.loads(send(fnrun, "GET", FUNCTIONS)[2])["Functions"]]
    return {*os.listdir(data), *os.listdir(data / "code"), *os.listdir(data / "logs"), *names}


@pytest.fixture(autouse=True)
def nothing_stored(fnrun, victim):
    before = stored(fnrun)
    config = send(fnrun, "GET", CONFIG)[2]
    yield
    # Less is fine: packages of earlier tests' functions go when their last instance has gone.
    wait_until(lambda: stored(fnrun) <= before, what=f"{stored(fnrun)} to be {before} again")
    assert send(fnrun, "GET", CONFIG)[2] == config


def check(answer, status, error, message):
    got_status, headers, body = answer
    body = json.loads(body)
    said = body.get("message", body.get("Message"))
    assert (got_status, headers.get("x-amzn-ErrorType")) == (status, error), body
    assert re.fullmatch("[0-9a-f-]{36}", headers["x-amzn-RequestId"])
    if isinstance(message, re.Pattern):
        assert message.search(said), said
    else:
        assert said == message
    assert ("Message" in body) == (status in (403, 404) and error != "UnknownOperationException")


@pytest.mark.parametrize("method, path, body, headers, status, error, message",
                         BODIES + TYPES + CONSTRAINTS + RULES + BASE64 + PATHS + EVENTS)
def test_bad_request(fnrun, method, path, body, headers, status, error, message):
    check(send(fnrun, method, path, body, headers), status, error, message)


@pytest.mark.parametrize("name", zips.NOT_A_ZIP)
def test_hostile_zip(fnrun, name):
    check(send(fnrun, "POST", FUNCTIONS, with_zip(zips.NOT_A_ZIP[name]())), 400, PARAMETER,
          "Could not unzip uploaded file. Please check your file, then try to upload again.")


@pytest.mark.parametrize("name", zips.TOO_LARGE)
def test_zip_bomb(fnrun, name):
    check(send(fnrun, "POST", FUNCTIONS, with_zip(zips.TOO_LARGE[name]())), 400, PARAMETER,
          "Unzipped size must be smaller than 262144000 bytes")


def test_hostile_zip_as_new_code(fnrun):
    zip_file = base64.b64encode(zips.NOT_A_ZIP["link-out"]()).decode()
    check(send(fnrun, "PUT", CODE, json.dumps({"ZipFile": zip_file}).encode()), 400, PARAMETER,
          re.compile("^Could not unzip uploaded file"))


def test_zip_of_50_mib(fnrun):
    check(send(fnrun, "POST", FUNCTIONS, with_zip(bytes(52428800))), 413, "RequestEntityTooLargeException",
          "Zipped size must be smaller than 52428800 bytes")


def test_request_too_large(fnrun):
    body = with_zip(bytes(1000)).replace(b'"ZipFile": "', b'"ZipFile": "' + b"A" * 70167211)
    check(send(fnrun, "POST", FUNCTIONS, body), 413, "RequestEntityTooLargeException",
          "Request must be smaller than 70167211 bytes for the CreateFunction operation")


# --- not even HTTP ------------------------------------------------------------------------------------------------------

GARBAGE = {
    "binary": bytes(range(256)),
    "no-version": b"GET\r\n\r\n",
    "http-9": b"GET / HTTP/9.9\r\n\r\n",
    "negative-length": b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n" % FUNCTIONS.encode(),
    "length-in-words": b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n" % FUNCTIONS.encode(),
    "bad-chunk": b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n" % FUNCTIONS.encode(),
    "long-line": b"GET /" + b"a" * 300000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long-header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 300000 + b"\r\n\r\n",
    "header-without-colon": b"GET /2015-03-31/functions HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "body-cut": b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{" % FUNCTIONS.encode(),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_http_garbage(fnrun, name):
    with socket.create_connection(("127.0.0.1", fnrun.port), timeout=10) as s:
        try:
            s.sendall(GARBAGE[name])
            # libmicrohttpd misses an end that comes together with the beginning, and waits for its time limit.
            time.sleep(0.05)
            s.shutdown(socket.SHUT_WR)
            answer = s.recv(65536)
        except OSError:
            answer = b""
    assert not answer or re.match(rb"HTTP/1.[01] [45]\d\d ", answer), answer[:200]
    assert send(fnrun, "GET", "/_fnrun/ping")[0] == 200
