"""The Lambda API as boto3 sees it: answers, defaults, names, paging, code and its life on disk."""

import base64
import concurrent.futures
import io
import json
import os
import re
import sqlite3
import stat
import subprocess
import threading
import urllib.error
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError

import hostile_zips as zips
from conftest import ROLE, make_client, make_zip
from instance import wait_until
from lambda_api import ARN, ECHO, UUID, packages, plain, raw, tree


def conform(shape, value, path=""):
    """Does a parsed answer agree with the service model? Unknown members, wrong types, values that are not listed."""
    kinds = {"structure": dict, "map": dict, "list": list, "string": str, "integer": int, "long": int, "boolean": bool}
    assert isinstance(value, kinds[shape.type_name]), (path, value)
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), (path, set(value) - set(shape.members))
        for name, member in value.items():
            conform(shape.members[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for i, member in enumerate(value):
            conform(shape.member, member, f"{path}[{i}]")
    elif shape.type_name == "string" and shape.name == "Runtime":  # that list is of 2022 too
        return
    elif shape.type_name == "string" and "enum" in shape.metadata:
        if (path, value) == (".LastUpdateStatusReasonCode", "Creating"):  # AWS sends what its own model does not list
            return
        assert value in shape.metadata["enum"], (path, value)
    elif shape.type_name == "string" and "pattern" in shape.metadata:
        assert re.fullmatch(shape.metadata["pattern"], value), (path, value)


def answer_of(fnrun, client, operation, method, path, body=None):
    """A raw answer, checked against the model that the client has."""
    status, _, data = raw(fnrun, method, path, body)
    model = client.meta.service_model.operation_model(operation)
    answer = json.loads(data)
    known_later = ("RuntimeVersionConfig", "LoggingConfig", "SnapStart")  # Debian's botocore is of 2022
    for part in (answer, answer.get("Configuration", {}), *answer.get("Functions", ())):
        for name in known_later:
            if name not in model.output_shape.members:
                part.pop(name, None)
    conform(model.output_shape, answer)
    return status, answer


# --- create and read ------------------------------------------------------------------------------------------------


def test_create_answers_as_aws(fnrun, lam, make_function):
    """Defaults, and nothing else than what AWS answers."""
    body = {"FunctionName": "api-create", "Runtime": "python3.13", "Role": ROLE, "Handler": "app.handler",
            "Code": {"ZipFile": base64.b64encode(make_zip(ECHO)).decode()}}
    status, _, data = raw(fnrun, "POST", "/2015-03-31/functions", json.dumps(body))
    try:
        answer = json.loads(data)
        assert status == 201
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", answer.pop("LastModified"))
        assert re.fullmatch(UUID, answer.pop("RevisionId"))
        assert len(base64.b64decode(answer.pop("CodeSha256"))) == 32
        assert answer == {
            "FunctionName": "api-create", "FunctionArn": ARN + "api-create", "Runtime": "python3.13", "Role": ROLE,
            "Handler": "app.handler", "CodeSize": len(make_zip(ECHO)), "Description": "", "Timeout": 3,
            "MemorySize": 128,
            "Version": "$LATEST", "TracingConfig": {"Mode": "PassThrough"}, "State": "Pending",
            "StateReason": "The function is being created.", "StateReasonCode": "Creating", "PackageType": "Zip",
            "Architectures": ["x86_64"], "EphemeralStorage": {"Size": 512},
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/api-create"},
            "RuntimeVersionConfig": {"RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:python3.13"}}
    finally:
        lam.delete_function(FunctionName="api-create")


def test_everything_that_is_given_is_shown(lam, make_function):
    given = {"Description": "Grüße", "Timeout": 900, "MemorySize": 10240, "EphemeralStorage": {"Size": 10240},
             "Environment": {"Variables": {"AB": "ü\n\"x\"", "EMPTY": ""}}, "TracingConfig": {"Mode": "Active"},
             "SnapStart": {"ApplyOn": "PublishedVersions"}}
    make_function("api-given", ECHO, Tags={"team": "a b", "x": ""}, **given)
    answer = lam.get_function(FunctionName="api-given")
    config = answer["Configuration"]
    assert answer["Tags"] == {"team": "a b", "x": ""}
    assert (config["State"], config["LastUpdateStatus"]) == ("Active", "Successful")
    assert config["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    assert {k: config[k] for k in given if k != "SnapStart"} == {k: v for k, v in given.items() if k != "SnapStart"}


def test_answers_conform_to_the_model(fnrun, lam, make_function):
    make_function("api-model", ECHO, Environment={"Variables": {"AB": "1"}}, Tags={"a": "b"})
    path = "/2015-03-31/functions/api-model"
    for operation, method, tail, body in [("GetFunction", "GET", "", None),
                                          ("GetFunctionConfiguration", "GET", "/configuration", None),
                                          ("UpdateFunctionConfiguration", "PUT", "/configuration", b'{"Timeout":4}')]:
        assert answer_of(fnrun, lam, operation, method, path + tail, body)[0] == 200
    status, answer = answer_of(fnrun, lam, "ListFunctions", "GET", "/2015-03-31/functions/")
    listed = next(f for f in answer["Functions"] if f["FunctionName"] == "api-model")
    assert status == 200
    assert not {"State", "LastUpdateStatus"} & set(listed)


def test_waiters(lam, make_function):
    make_function("api-waiters", ECHO)
    lam.update_function_configuration(FunctionName="api-waiters", Timeout=5)
    for name in ("function_exists", "function_active", "function_active_v2", "function_updated", "function_updated_v2"):
        lam.get_waiter(name).wait(FunctionName="api-waiters", WaiterConfig={"Delay": 0, "MaxAttempts": 3})


@pytest.mark.parametrize("name, qualifier, shown", [
    ("api-names", None, "api-names"),
    ("api-names", "$LATEST", "api-names:$LATEST"),
    ("api-names:$LATEST", None, "api-names:$LATEST"),
    ("api-names:$LATEST", "$LATEST", "api-names:$LATEST"),
    ("function:api-names", None, "api-names"),
    ("000000000000:function:api-names", None, "api-names"),
    ("000000000000:function:api-names:$LATEST", None, "api-names:$LATEST"),
    (ARN + "api-names", None, "api-names"),
    (ARN + "api-names:$LATEST", None, "api-names:$LATEST"),
])
def test_names(lam, make_module_function, named, name, qualifier, shown):
    kw = {"Qualifier": qualifier} if qualifier else {}
    assert lam.get_function_configuration(FunctionName=name, **kw)["FunctionArn"] == ARN + shown
    assert lam.get_function(FunctionName=name, **kw)["Configuration"]["FunctionArn"] == ARN + shown
    assert lam.invoke(FunctionName=name, InvocationType="DryRun", **kw)["StatusCode"] == 204


@pytest.fixture(scope="module")
def named(make_module_function):
    make_module_function("api-names", ECHO)


@pytest.mark.parametrize("path", ["/2015-03-31/functions/", "/2015-03-31/functions/api-names/",
                                  "/2015-03-31/functions/api%2Dnames/configuration",
                                  "/2015-03-31/functions/" + ARN.replace(":", "%3A") + "api-names"])
def test_paths_as_old_and_new_clients_write_them(fnrun, named, path):
    status, _, body = raw(fnrun, "GET", path)
    assert status == 200
    assert b"api-names" in body


def test_list_in_pages(own_fnrun):
    """50 functions a page at most, every function once, in order."""
    client = make_client(own_fnrun, "lambda")
    names = [f"page-{i:02}" for i in range(53)]
    for name in reversed(names):
        client.create_function(FunctionName=name, Runtime="python3.13", Role=ROLE, Handler="app.handler",
                               Code={"ZipFile": make_zip(ECHO)})
    first = client.list_functions(MaxItems=10000)
    assert [f["FunctionName"] for f in first["Functions"]] == names[:50]
    rest = client.list_functions(Marker=first["NextMarker"])
    assert [f["FunctionName"] for f in rest["Functions"]] == names[50:]
    assert "NextMarker" not in rest
    pages = list(client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 9}))
    assert [f["FunctionName"] for page in pages for f in page["Functions"]] == names
    versions = client.list_functions(FunctionVersion="ALL", MaxItems=1)["Functions"]
    assert versions[0]["FunctionArn"] == ARN + "page-00:$LATEST"
    assert len(packages(own_fnrun)) == 1


# --- update ---------------------------------------------------------------------------------------------------------


def test_update_configuration_changes_only_what_is_named(lam, make_function):
    make_function("api-update", ECHO, Description="old", MemorySize=256,
                  Environment={"Variables": {"AB": "1", "CD": "2"}})
    before = plain(lam.get_function_configuration(FunctionName="api-update"))
    answer = lam.update_function_configuration(FunctionName="api-update", Timeout=7,
                                               Environment={"Variables": {"EF": "3"}})
    assert (answer["State"], answer["LastUpdateStatus"]) == ("Active", "InProgress")
    after = plain(lam.get_function_configuration(FunctionName="api-update"))
    assert after["Environment"] == {"Variables": {"EF": "3"}}
    assert after["RevisionId"] == answer["RevisionId"] != before["RevisionId"]
    changed = {k for k in after if after[k] != before[k]}
    assert changed == {"Timeout", "Environment", "RevisionId", "LastModified"}
    lam.update_function_configuration(FunctionName="api-update", Environment={"Variables": {}}, Description="")
    after = lam.get_function_configuration(FunctionName="api-update")
    assert (after["Environment"], after["Description"]) == ({"Variables": {}}, "")


def test_revision_guards_updates(lam, make_function):
    make_function("api-revision", ECHO)
    first = lam.get_function_configuration(FunctionName="api-revision")["RevisionId"]
    second = lam.update_function_configuration(FunctionName="api-revision", Timeout=4, RevisionId=first)["RevisionId"]
    with pytest.raises(lam.exceptions.PreconditionFailedException):
        lam.update_function_configuration(FunctionName="api-revision", Timeout=5, RevisionId=first)
    with pytest.raises(lam.exceptions.PreconditionFailedException):
        lam.update_function_code(FunctionName="api-revision", ZipFile=make_zip(ECHO), RevisionId=first)
    lam.update_function_code(FunctionName="api-revision", ZipFile=make_zip(ECHO), RevisionId=second)


def test_update_code(fnrun, lam, invoke, make_function):
    make_function("api-code", {"app.py": "def handler(event, context):\n    return 'old'\n"})
    old = lam.get_function_configuration(FunctionName="api-code")
    new_zip = make_zip({"app.py": "def handler(event, context):\n    return 'new'\n"})
    dry = lam.update_function_code(FunctionName="api-code", ZipFile=new_zip, DryRun=True)
    assert plain(lam.get_function_configuration(FunctionName="api-code")) == plain(old)
    assert invoke("api-code").value == "old"
    new = lam.update_function_code(FunctionName="api-code", ZipFile=new_zip)
    assert new["CodeSha256"] == dry["CodeSha256"] != old["CodeSha256"]
    assert new["CodeSize"] == len(new_zip)
    assert invoke("api-code").value == "new"
    wait_until(lambda: not tree(fnrun, old["CodeSha256"]).exists(), what="the old package to go")


def test_the_code_can_be_fetched(lam, make_function):
    make_function("api-fetch", ECHO)
    location = lam.get_function(FunctionName="api-fetch")["Code"]["Location"]
    assert urllib.request.urlopen(location).read() == make_zip(ECHO)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(location + "0")


def test_code_from_the_object_store(lam, s3, invoke):
    s3.create_bucket(Bucket="api-code-bucket")
    s3.put_object(Bucket="api-code-bucket", Key="a key/ü.zip", Body=make_zip(ECHO))
    source = {"S3Bucket": "api-code-bucket", "S3Key": "a key/ü.zip"}
    try:
        lam.create_function(FunctionName="api-s3", Runtime="python3.13", Role=ROLE, Handler="app.handler", Code=source)
        assert invoke("api-s3", {"a": 1}).value == {"a": 1}
        s3.put_object(Bucket="api-code-bucket", Key="a key/ü.zip", Body=b"no zip")
        with pytest.raises(ClientError, match="Could not unzip uploaded file"):
            lam.update_function_code(FunctionName="api-s3", **source)
        with pytest.raises(ClientError, match="NoSuchKey"):
            lam.update_function_code(FunctionName="api-s3", S3Bucket="api-code-bucket", S3Key="none")
    finally:
        lam.delete_function(FunctionName="api-s3")
        s3.delete_object(Bucket="api-code-bucket", Key="a key/ü.zip")
        s3.delete_bucket(Bucket="api-code-bucket")


def test_one_change_of_code_at_a_time(lam, make_function):
    """While a large zip is unpacked, other changes are refused as AWS refuses them, and invocations go on."""
    make_function("api-busy", ECHO)
    large = make_zip({f"d{i % 97}/f{i}": b"x" for i in range(8000)} | ECHO)
    started = threading.Event()
    refused = []

    def update():
        started.set()
        return lam.update_function_code(FunctionName="api-busy", ZipFile=large)["CodeSize"]

    with concurrent.futures.ThreadPoolExecutor() as pool:
        change = pool.submit(update)
        started.wait()
        while not change.done():
            try:
                lam.update_function_configuration(FunctionName="api-busy", Timeout=6)
            except lam.exceptions.ResourceConflictException as e:
                refused.append(e.response["Error"]["Message"])
        assert change.result() == len(large)
    assert set(refused) == {"The operation cannot be performed at this time. An update is in progress for resource: "
                            f"{ARN}api-busy"}


def test_one_name_one_function(lam):
    """Of many creates at once one wins."""
    def create(i):
        try:
            lam.create_function(FunctionName="api-race", Runtime="python3.13", Role=ROLE, Handler="app.handler",
                                Description=str(i), Code={"ZipFile": make_zip({"app.py": f"x = {i}"})})
            return "created"
        except lam.exceptions.ResourceConflictException as e:
            return e.response["Error"]["Message"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(create, range(8)))
    lam.delete_function(FunctionName="api-race")
    assert sorted(outcomes) == ["Function already exist: api-race"] * 7 + ["created"]


# --- what is on disk ------------------------------------------------------------------------------------------------


def test_delete(fnrun, lam, invoke, make_function):
    make_function("api-shared", ECHO)
    lam.create_function(FunctionName="api-delete", Runtime="python3.13", Role=ROLE, Handler="app.handler",
                        Code={"ZipFile": make_zip(ECHO)})
    sha = lam.get_function_configuration(FunctionName="api-delete")["CodeSha256"]
    invoke("api-delete")
    assert "START" in fnrun.function_log("api-delete")
    assert raw(fnrun, "DELETE", "/2015-03-31/functions/api-delete")[0] == 204
    with pytest.raises(lam.exceptions.ResourceNotFoundException):
        lam.get_function(FunctionName="api-delete")
    wait_until(lambda: not fnrun.function_log("api-delete"), what="the log to go")
    assert tree(fnrun, sha).exists()  # the other function's too
    assert invoke("api-shared", 5).value == 5


def test_a_user_is_never_given_to_another_function(own_fnrun):
    client = make_client(own_fnrun, "lambda")
    users = []
    for i in range(3):
        client.create_function(FunctionName="again", Runtime="python3.13", Role=ROLE, Handler="app.handler",
                               Code={"ZipFile": make_zip(ECHO)})
        client.update_function_configuration(FunctionName="again", Timeout=9)
        with sqlite3.connect(f"file:{own_fnrun.state}/data/fnrun.db?mode=ro", uri=True) as db:
            users.append(json.loads(db.execute("SELECT record FROM functions").fetchone()[0])["UidIndex"])
        if i == 1:
            own_fnrun.restart()
        client.delete_function(FunctionName="again")
    assert users == [0, 1, 2]


def test_restart_keeps_functions_and_removes_leftovers(own_fnrun):
    client = make_client(own_fnrun, "lambda")
    client.create_function(FunctionName="stays", Runtime="python3.13", Role=ROLE, Handler="app.handler",
                           Code={"ZipFile": make_zip(ECHO)}, Tags={"a": "b"})
    before = plain(client.get_function(FunctionName="stays"))
    code = own_fnrun.state / "data" / "code"
    kept = packages(own_fnrun)
    (code / "tmp-7" / "tree" / "deep").mkdir(parents=True)
    (code / "tmp-7" / "tree" / "deep" / "link").symlink_to("/etc/passwd")
    (code / "upload-3").write_bytes(b"half")
    (code / ("ab" * 32) / "tree").mkdir(parents=True)
    subprocess.run(["chown", "-Rh", f"--reference={code}", code], check=True)
    own_fnrun.restart()
    assert plain(client.get_function(FunctionName="stays")) == before
    wait_until(lambda: set(os.listdir(code)) == kept, what="leftovers to go")
    assert os.path.exists("/etc/passwd")


def test_modes_and_links_of_a_package(fnrun, lam, make_function):
    """Directories 0755, files 0644 or 0755; a zip that was made on Windows has no modes; links inside are kept."""
    data = zips.pack(zips.entry("app.py", b"", 0o100600), zips.entry("bin/tool", b"#!", 0o104711),
                     zips.entry("windows", b"x", 0o100777, system=0), zips.entry("empty/", b"", 0o040700),
                     zips.entry("a/b/c/d", b""), zips.entry("./dot//name", b""), zips.entry("back\\slash", b""),
                     zips.link("a/up", "../bin"), zips.link("loop", "loop"), zips.link("nowhere", "not/there"))
    sha = lam.create_function(FunctionName="api-modes", Runtime="python3.13", Role=ROLE, Handler="app.handler",
                              Code={"ZipFile": data})["CodeSha256"]
    root = tree(fnrun, sha)
    try:
        assert (root.parent / "zip").read_bytes() == data
        wanted = {"app.py": 0o644, "bin/tool": 0o755, "windows": 0o644, "empty": 0o755, "a/b/c": 0o755, ".": 0o755}
        assert {path: stat.S_IMODE((root / path).stat().st_mode) for path in wanted} == wanted
        assert (root / "dot" / "name").exists()
        assert (root / "back\\slash").exists()
        assert os.readlink(root / "a" / "up") == "../bin"
        assert os.readlink(root / "nowhere") == "not/there"
    finally:
        lam.delete_function(FunctionName="api-modes")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_large_zip(fnrun, lam, method):
    """Nearly the most that a request may carry, while the server goes on answering."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method, compresslevel=1) as archive:
        archive.writestr("app.py", ECHO["app.py"])
        archive.writestr("noise", os.urandom(48 * 1024 * 1024))
    body = {"FunctionName": "api-large", "Runtime": "python3.13", "Role": ROLE, "Handler": "app.handler",
            "Code": {"ZipFile": base64.b64encode(out.getvalue()).decode().replace("/", "\\/")}}
    text = json.dumps(body).replace("\\\\/", "\\/")  # as PHP writes it
    with concurrent.futures.ThreadPoolExecutor() as pool:
        create = pool.submit(raw, fnrun, "POST", "/2015-03-31/functions", text)
        while not create.done():
            assert raw(fnrun, "GET", "/_fnrun/ping")[0] == 200
        status, _, data = create.result()
    assert (status, json.loads(data).get("CodeSize")) == (201, len(out.getvalue())), data[:300]
    lam.delete_function(FunctionName="api-large")
