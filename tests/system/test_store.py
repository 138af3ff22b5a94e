"""The object store, through unmodified clients."""

import concurrent.futures
import hashlib
import http.client
import io
import random
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from conftest import ROLE, make_client, make_zip

MIB = 1024 * 1024
SCENARIO = Path(__file__).with_name("store_scenario.py")


def code_of(call, **kw):
    """The error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**kw)
    return caught.value.response["Error"]["Code"]


def keys_of(page):
    return [item["Key"] for item in page.get("Contents", [])]


@pytest.fixture
def bucket(s3, request):
    """A bucket of the test's own, gone with all that is in it afterwards."""
    name = "b-" + hashlib.md5(request.node.nodeid.encode()).hexdigest()[:12]
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        if "Contents" in page:
            s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": key} for key in keys_of(page)]})
    s3.delete_bucket(Bucket=name)


# --- whole clients ------------------------------------------------------------------------------------------------


def boto3_version(python):
    run = subprocess.run([python, "-c", "import boto3; print(boto3.__version__)"], capture_output=True, text=True)
    return run.stdout.strip()


def pythons():
    """One interpreter for each version of boto3 on this machine."""
    found = {}
    for python in (sys.executable, "/usr/bin/python3", shutil.which("python3")):
        version = boto3_version(python) if python else ""
        if version:
            found.setdefault(version, python)
    return [pytest.param(python, id=f"boto3-{version}") for version, python in found.items()]


@pytest.mark.parametrize("python", pythons())
def test_boto3(fnrun, python):
    run = subprocess.run([python, SCENARIO, fnrun.endpoint], env=fnrun.environment(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_aws_cli(aws, tmp_path):
    big = random.Random(2).randbytes(9 * MIB)
    (tmp_path / "small").write_bytes(b"small")
    (tmp_path / "big").write_bytes(big)
    aws("s3", "mb", "s3://cli-bucket")
    aws("s3", "mb", "s3://cli-bucket")  # us-east-1 does not mind; so scripts rely on it
    aws("s3", "cp", tmp_path / "small", "s3://cli-bucket/dir/small")
    aws("s3", "cp", tmp_path / "big", "s3://cli-bucket/")
    assert [line.split()[-1] for line in aws("s3", "ls", "s3://cli-bucket").splitlines()] == ["dir/", "big"]
    aws("s3", "cp", "s3://cli-bucket/big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == big
    aws("s3", "mv", "s3://cli-bucket/big", "s3://cli-bucket/moved")
    head = aws("s3api", "head-object", "--bucket", "cli-bucket", "--key", "moved")
    assert (head["ContentLength"], head["ETag"][-3:]) == (9 * MIB, '-2"')
    assert "NoSuchKey" in aws("s3api", "get-object", "--bucket", "cli-bucket", "--key", "big", "/dev/null", ok=False).stderr
    assert "BucketNotEmpty" in aws("s3", "rb", "s3://cli-bucket", ok=False).stderr
    aws("s3", "rb", "s3://cli-bucket", "--force")
    assert "cli-bucket" not in aws("s3", "ls")


def test_create_function_from_object(s3, lam, bucket):
    code = make_zip({"app.py": "def handler(event, context):\n    return 1\n"})
    s3.put_object(Bucket=bucket, Key="code.zip", Body=code)
    where = {"FunctionName": "from-store", "Runtime": "python3.13", "Role": ROLE, "Handler": "app.handler"}
    made = lam.create_function(**where, Code={"S3Bucket": bucket, "S3Key": "code.zip"})
    assert made["CodeSize"] == len(code)
    lam.delete_function(FunctionName="from-store")
    with pytest.raises(ClientError) as caught:
        lam.create_function(**where, Code={"S3Bucket": bucket, "S3Key": "none.zip"})
    assert "NoSuchKey" in caught.value.response["Error"]["Message"]


def test_presigned_urls(s3, bucket):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "signed"})
    urllib.request.urlopen(urllib.request.Request(url, b"by url", method="PUT"))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "signed"})
    assert urllib.request.urlopen(url).read() == b"by url"


# --- buckets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ab", "a" * 64, "Upper", "under_score", "-dash", "dot.", "two..dots", "1.2.3.4", "xn--x1"])
def test_bad_bucket_names(fnrun, name):
    connection = http.client.HTTPConnection("127.0.0.1", fnrun.port)
    connection.request("PUT", f"/{name}")
    answer = connection.getresponse()
    assert (answer.status, b"<Code>InvalidBucketName</Code>" in answer.read()) == (400, True)


def test_bucket_region(s3):
    s3.create_bucket(Bucket="in-europe", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert s3.get_bucket_location(Bucket="in-europe")["LocationConstraint"] == "eu-central-1"
    assert s3.head_bucket(Bucket="in-europe")["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "eu-central-1"
    assert code_of(s3.create_bucket, Bucket="in-europe") == "BucketAlreadyOwnedByYou"
    s3.delete_bucket(Bucket="in-europe")


def test_delete_bucket_with_unfinished_upload(s3):
    s3.create_bucket(Bucket="unfinished")
    upload = s3.create_multipart_upload(Bucket="unfinished", Key="k")["UploadId"]
    s3.upload_part(Bucket="unfinished", Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    s3.delete_bucket(Bucket="unfinished")
    assert code_of(s3.list_parts, Bucket="unfinished", Key="k", UploadId=upload) == "NoSuchBucket"


# --- listing --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thousand(fnrun, s3):
    """A bucket of 1,050 keys: 50 folders of 20, and 50 at the top."""
    keys = [f"dir{i:02}/file{j:02}" for i in range(50) for j in range(20)] + [f"top{i:02}" for i in range(50)]
    s3.create_bucket(Bucket="thousand")

    def put(some):
        connection = http.client.HTTPConnection("127.0.0.1", fnrun.port)
        for key in some:
            connection.request("PUT", f"/thousand/{key}", b"x")
            assert connection.getresponse().read() == b""

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(put, [keys[i::8] for i in range(8)]))
    yield keys
    for part in (keys[:1000], keys[1000:]):
        s3.delete_objects(Bucket="thousand", Delete={"Objects": [{"Key": key} for key in part], "Quiet": True})
    s3.delete_bucket(Bucket="thousand")


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("page_size", [1000, 97])
def test_list_pages(s3, thousand, operation, page_size):
    pages = s3.get_paginator(operation).paginate(Bucket="thousand", PaginationConfig={"PageSize": page_size})
    found = [keys_of(page) for page in pages]
    assert [key for page in found for key in page] == thousand
    assert {len(page) for page in found[:-1]} == {page_size}


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_list_groups(s3, thousand, operation):
    pages = list(s3.get_paginator(operation).paginate(Bucket="thousand", Delimiter="/", PaginationConfig={"PageSize": 30}))
    assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == [f"dir{i:02}/" for i in range(50)]
    assert [key for page in pages for key in keys_of(page)] == [f"top{i:02}" for i in range(50)]
    assert len(pages) == 4


def test_list_bounds(s3, thousand):
    page = s3.list_objects_v2(Bucket="thousand", Prefix="dir07/", StartAfter="dir07/file17")
    assert (keys_of(page), page["KeyCount"]) == (["dir07/file18", "dir07/file19"], 2)
    page = s3.list_objects_v2(Bucket="thousand", Prefix="dir0", Delimiter="/", MaxKeys=3, StartAfter="dir04/file05")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["dir05/", "dir06/", "dir07/"]
    assert page["IsTruncated"]
    assert keys_of(s3.list_objects_v2(Bucket="thousand", Prefix="none")) == []
    page = s3.list_objects_v2(Bucket="thousand", MaxKeys=0)
    assert (page["KeyCount"], page["IsTruncated"]) == (0, False)
    assert code_of(s3.list_objects_v2, Bucket="thousand", ContinuationToken="%") == "InvalidArgument"


# --- multipart --------------------------------------------------------------------------------------------------------


class Upload:
    """A multipart upload by hand."""

    def __init__(self, s3, bucket, key="upload", **kw):
        self.s3 = s3
        self.where = {"Bucket": bucket, "Key": key}
        self.where["UploadId"] = s3.create_multipart_upload(**self.where, **kw)["UploadId"]
        self.parts = {}

    def put(self, number, data):
        done = self.s3.upload_part(**self.where, PartNumber=number, Body=data)
        self.parts[number] = {"PartNumber": number, "ETag": done["ETag"]}
        return done

    def complete(self, parts=None):
        parts = [self.parts[n] for n in sorted(self.parts)] if parts is None else parts
        return self.s3.complete_multipart_upload(**self.where, MultipartUpload={"Parts": parts})

    def failure(self, parts=None):
        with pytest.raises(ClientError) as caught:
            self.complete(parts)
        return caught.value.response["Error"]["Code"]

    def abort(self):
        self.s3.abort_multipart_upload(**self.where)


def test_multipart_errors(s3, bucket):
    upload = Upload(s3, bucket)
    for number in (1, 2, 3):
        upload.put(number, b"too small")
    one, two = upload.parts[1], upload.parts[2]
    assert upload.failure() == "EntityTooSmall"
    assert upload.failure([two, one]) == "InvalidPartOrder"
    assert upload.failure([one, one]) == "InvalidPartOrder"
    assert upload.failure([{"PartNumber": 1, "ETag": two["ETag"][::-1]}]) == "InvalidPart"
    assert upload.failure([{"PartNumber": 4, "ETag": one["ETag"]}]) == "InvalidPart"
    assert upload.failure([]) == "MalformedXML"
    assert code_of(s3.upload_part, **upload.where, PartNumber=10001, Body=b"") == "InvalidArgument"
    assert code_of(s3.upload_part, **upload.where | {"Key": "other"}, PartNumber=1, Body=b"") == "NoSuchUpload"
    assert code_of(s3.head_object, Bucket=bucket, Key="upload") == "404"
    upload.abort()
    assert upload.failure([one]) == "NoSuchUpload"
    assert code_of(s3.abort_multipart_upload, **upload.where) == "NoSuchUpload"


def test_multipart_takes_named_parts(s3, bucket):
    """Parts may be replaced, left out, and have gaps in their numbers."""
    first, second = b"1" * 5 * MIB, b"2" * 100
    upload = Upload(s3, bucket, ContentType="x/y")
    upload.put(2, b"replaced")
    upload.put(2, first)
    upload.put(7, b"left out")
    upload.put(9, second)
    done = upload.complete([upload.parts[2], upload.parts[9]])
    md5s = hashlib.md5(first).digest() + hashlib.md5(second).digest()
    assert done["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-2"'
    got = s3.get_object(Bucket=bucket, Key="upload")
    assert (got["Body"].read(), got["ContentType"], got["ETag"]) == (first + second, "x/y", done["ETag"])


def test_list_parts_and_uploads(s3, bucket):
    uploads = [Upload(s3, bucket, key) for key in ("b", "a", "b")]
    for number in range(1, 6):
        uploads[0].put(number, b"x" * number)
    pages = list(s3.get_paginator("list_parts").paginate(**uploads[0].where, PaginationConfig={"PageSize": 2}))
    assert [[p["PartNumber"] for p in page["Parts"]] for page in pages] == [[1, 2], [3, 4], [5]]
    assert [p["Size"] for page in pages for p in page["Parts"]] == [1, 2, 3, 4, 5]
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    found = [(u["Key"], u["UploadId"]) for page in pages for u in page["Uploads"]]
    assert found == sorted((u.where["Key"], u.where["UploadId"]) for u in uploads)
    for upload in uploads:
        upload.abort()
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_part_copy(s3, bucket):
    data = random.Random(3).randbytes(6 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=data)
    source = {"Bucket": bucket, "Key": "source"}
    upload = Upload(s3, bucket)
    for number, span in enumerate([(0, 5 * MIB - 1), (5 * MIB, 6 * MIB - 1)], 1):
        done = s3.upload_part_copy(**upload.where, PartNumber=number, CopySource=source,
                                   CopySourceRange="bytes={}-{}".format(*span))
        upload.parts[number] = {"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]}
        assert upload.parts[number]["ETag"] == f'"{hashlib.md5(data[span[0]:span[1] + 1]).hexdigest()}"'
    upload.complete()
    assert s3.get_object(Bucket=bucket, Key="upload")["Body"].read() == data


# --- at the same time -------------------------------------------------------------------------------------------------


def test_reader_keeps_the_object_that_it_began(s3, bucket):
    old = b"o" * 8 * MIB
    s3.put_object(Bucket=bucket, Key="k", Body=old)
    body = s3.get_object(Bucket=bucket, Key="k")["Body"]
    begun = body.read(1000)
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    assert begun + body.read() == old
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"new"


def test_parallel_writers(fnrun, s3, bucket):
    """What is read is always one of the whole objects that were written."""
    writers = [bytes([65 + n]) * (300_000 + n) for n in range(8)]

    def write(data):
        client = make_client(fnrun, "s3")
        for _ in range(5):
            client.put_object(Bucket=bucket, Key="k", Body=data)
            assert client.get_object(Bucket=bucket, Key="k")["Body"].read() in writers

    before = len(list((fnrun.state / "data" / "store").iterdir()))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(write, writers))
    assert len(list((fnrun.state / "data" / "store").iterdir())) == before + 1


def test_download_to_file(s3, bucket):
    out = io.BytesIO()
    s3.upload_fileobj(io.BytesIO(b"streamed"), bucket, "k")
    s3.download_fileobj(bucket, "k", out)
    assert out.getvalue() == b"streamed"
