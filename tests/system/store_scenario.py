"""What a program does with S3 through boto3, start to end. Run by test_store.py with every boto3 on the machine, because
the generations differ on the wire: the newer one sends a checksum with every upload and checks one with every download.

usage: store_scenario.py ENDPOINT
"""

import hashlib
import io
import random
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1024 * 1024
ODD_KEYS = ["../../etc/passwd", "/leading", "a//b", "a/./b/../c", "space and +plus", "ünï/漢字/😀", "%2e%2e%2f", "quote'\"&<>",
            "tab\tnewline\n", "trailing/", ".", "..", "x" * 1024]


def fails(code, call, **kw):
    try:
        call(**kw)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response
    raise AssertionError(f"no {code}")


def etag(data):
    return f'"{hashlib.md5(data).hexdigest()}"'


def put_and_get(s3, bucket):
    data = b"hello \x00 world" * 100
    put = s3.put_object(Bucket=bucket, Key="docs/one", Body=data, ContentType="text/x-test", Metadata={"Some-Key": "some value"},
                        ContentEncoding="identity", CacheControl="max-age=5")
    assert put["ETag"] == etag(data)
    got = s3.get_object(Bucket=bucket, Key="docs/one")
    assert got["Body"].read() == data
    assert (got["ETag"], got["ContentLength"], got["ContentType"]) == (etag(data), len(data), "text/x-test")
    assert got["Metadata"] == {"some-key": "some value"}
    assert (got["ContentEncoding"], got["CacheControl"], got["AcceptRanges"]) == ("identity", "max-age=5", "bytes")
    head = s3.head_object(Bucket=bucket, Key="docs/one")
    assert (head["ContentLength"], head["ETag"], head["LastModified"]) == (len(data), etag(data), got["LastModified"])
    assert s3.get_object(Bucket=bucket, Key="docs/one", ResponseContentType="a/b")["ContentType"] == "a/b"
    s3.put_object(Bucket=bucket, Key="docs/one", Body=b"")
    assert s3.get_object(Bucket=bucket, Key="docs/one")["Body"].read() == b""
    assert s3.head_object(Bucket=bucket, Key="docs/one")["ContentType"] == "binary/octet-stream"


def ranges(s3, bucket):
    data = bytes(range(256))
    s3.put_object(Bucket=bucket, Key="range", Body=data)
    for header, part in (("bytes=0-0", data[:1]), ("bytes=10-19", data[10:20]), ("bytes=250-", data[250:]),
                         ("bytes=-6", data[-6:]), ("bytes=200-9999", data[200:])):
        got = s3.get_object(Bucket=bucket, Key="range", Range=header)
        assert got["Body"].read() == part, header
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        first = data.index(part)
        assert got["ContentRange"] == f"bytes {first}-{first + len(part) - 1}/256"
    fails("InvalidRange", s3.get_object, Bucket=bucket, Key="range", Range="bytes=256-300")
    assert s3.get_object(Bucket=bucket, Key="range", Range="bytes=9-5")["Body"].read() == data


def conditions(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="cond", Body=b"1")
    modified = s3.head_object(Bucket=bucket, Key="cond")["LastModified"]
    where = {"Bucket": bucket, "Key": "cond"}
    assert s3.get_object(**where, IfMatch=put["ETag"])["Body"].read() == b"1"
    fails("PreconditionFailed", s3.get_object, **where, IfMatch='"other"')
    fails("304", s3.get_object, **where, IfNoneMatch=put["ETag"])
    fails("304", s3.get_object, **where, IfModifiedSince=modified)
    fails("412", s3.head_object, **where, IfMatch='"other"')
    assert s3.get_object(**where, IfUnmodifiedSince=modified)["Body"].read() == b"1"


def copies(s3, bucket):
    s3.put_object(Bucket=bucket, Key="src +ä", Body=b"source", Metadata={"a": "1"}, ContentType="x/y")
    source = {"Bucket": bucket, "Key": "src +ä"}
    done = s3.copy_object(Bucket=bucket, Key="dst", CopySource=source)
    assert done["CopyObjectResult"]["ETag"] == etag(b"source")
    s3.copy_object(Bucket=bucket, Key="dst2", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"})
    s3.put_object(Bucket=bucket, Key="src +ä", Body=b"changed")
    got = s3.get_object(Bucket=bucket, Key="dst")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (b"source", {"a": "1"}, "x/y")
    assert s3.head_object(Bucket=bucket, Key="dst2")["Metadata"] == {"b": "2"}
    fails("InvalidRequest", s3.copy_object, Bucket=bucket, Key="dst", CopySource={"Bucket": bucket, "Key": "dst"})
    fails("NoSuchKey", s3.copy_object, Bucket=bucket, Key="x", CopySource={"Bucket": bucket, "Key": "none"})


def odd_keys(s3, bucket):
    for number, key in enumerate(ODD_KEYS):
        s3.put_object(Bucket=bucket, Key=key, Body=str(number).encode())
    for number, key in enumerate(ODD_KEYS):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == str(number).encode(), key
    found = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert found == sorted(found, key=lambda key: key.encode()), found
    assert set(ODD_KEYS) <= set(found)
    fails("KeyTooLongError", s3.put_object, Bucket=bucket, Key="x" * 1025, Body=b"")
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in ODD_KEYS]})
    assert {item["Key"] for item in done["Deleted"]} == set(ODD_KEYS)
    fails("NoSuchKey", s3.get_object, Bucket=bucket, Key=ODD_KEYS[0])
    # XML has no way to name it, so it takes the path.
    s3.put_object(Bucket=bucket, Key="control\x01", Body=b"")
    assert "control\x01" in [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    s3.delete_object(Bucket=bucket, Key="control\x01")


def multipart(s3, bucket):
    data = random.Random(1).randbytes(20 * MIB)
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB)
    s3.upload_fileobj(io.BytesIO(data), bucket, "big", Config=config, ExtraArgs={"Metadata": {"m": "n"}})
    parts = [hashlib.md5(data[i:i + 8 * MIB]).digest() for i in range(0, len(data), 8 * MIB)]
    head = s3.head_object(Bucket=bucket, Key="big")
    assert head["ETag"] == f'"{hashlib.md5(b"".join(parts)).hexdigest()}-3"', head
    assert (head["ContentLength"], head["Metadata"]) == (len(data), {"m": "n"})
    out = io.BytesIO()
    s3.download_fileobj(bucket, "big", out, Config=config)
    assert out.getvalue() == data
    s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "big copy", Config=config)
    assert s3.get_object(Bucket=bucket, Key="big copy")["Body"].read() == data
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def checksums(s3, bucket):
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        put = s3.put_object(Bucket=bucket, Key="sum", Body=b"checked", ChecksumAlgorithm=algorithm)
        head = s3.head_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
        assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
        assert s3.get_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")["Body"].read() == b"checked"


def not_implemented(s3, bucket):
    where = {"Bucket": bucket, "Key": "lost"}
    for name, wanted in (("x-amz-tagging", {"Tagging": "a=b"}), ("x-amz-storage-class", {"StorageClass": "GLACIER"}),
                         ("x-amz-object-lock-legal-hold", {"ObjectLockLegalHoldStatus": "ON"})):
        for call in (s3.create_multipart_upload, s3.put_object):
            error = fails("NotImplemented", call, **where, **wanted)
            assert error["ResponseMetadata"]["HTTPStatusCode"] == 501 and error["Error"]["Header"] == name, error
    fails("NotImplemented", s3.copy_object, **where, CopySource={"Bucket": bucket, "Key": "big"}, StorageClass="GLACIER")
    fails("404", s3.head_object, **where)
    s3.put_object(**where, Body=b"x", StorageClass="STANDARD", ObjectLockLegalHoldStatus="OFF")


def parts(s3, bucket):
    """An object has one part, however it was uploaded."""
    for key, size in (("docs/one", 0), ("big", 20 * MIB)):
        assert s3.head_object(Bucket=bucket, Key=key, PartNumber=1)["ContentLength"] == size
        fails("416", s3.head_object, Bucket=bucket, Key=key, PartNumber=2)


def missing(s3, bucket):
    fails("NoSuchKey", s3.get_object, Bucket=bucket, Key="none")
    fails("404", s3.head_object, Bucket=bucket, Key="none")
    fails("NoSuchBucket", s3.get_object, Bucket="no-such-bucket", Key="none")
    fails("NoSuchBucket", s3.put_object, Bucket="no-such-bucket", Key="none", Body=b"x")
    fails("NoSuchBucket", s3.list_objects_v2, Bucket="no-such-bucket")
    fails("404", s3.head_bucket, Bucket="no-such-bucket")
    s3.delete_object(Bucket=bucket, Key="none")
    fails("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=bucket)
    fails("NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    fails("NotImplemented", s3.put_bucket_policy, Bucket=bucket, Policy="{}")


def main(endpoint):
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test",
                      aws_secret_access_key="test", config=Config(retries={"max_attempts": 0}))
    bucket = f"scenario-{boto3.__version__}"
    s3.create_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    s3.head_bucket(Bucket=bucket)
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    for step in (put_and_get, ranges, conditions, copies, odd_keys, multipart, checksums, not_implemented, parts, missing):
        step(s3, bucket)
    fails("BucketNotEmpty", s3.delete_bucket, Bucket=bucket)
    objects = boto3.resource("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test",
                             aws_secret_access_key="test").Bucket(bucket)
    objects.object_versions.delete()
    s3.delete_bucket(Bucket=bucket)
    fails("404", s3.head_bucket, Bucket=bucket)
    print(f"boto3 {boto3.__version__}: all well")


if __name__ == "__main__":
    main(sys.argv[1])
