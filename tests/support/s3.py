"""A real S3 server on loopback (moto)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

SECRET = "not/for+anybodys=eyes"


@dataclass(frozen=True)
class S3:
    """The server's address, and the variables by which it is reached."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    @property
    def client(self) -> Any:
        """Amazon's own library, connected."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="AKIATEST",
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def fill(self, bucket: str, folder: Path | None = None, prefix: str = "") -> None:
        """Make a bucket, with the files of a folder if one is given."""
        self.client.create_bucket(Bucket=bucket)
        if folder:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                name = prefix + path.relative_to(folder).as_posix()
                self.client.put_object(Bucket=bucket, Key=name, Body=path.read_bytes())

    def contents(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """The objects beneath a prefix, by what follows it."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return {key.removeprefix(prefix): self.client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


@contextmanager
def s3_server() -> Iterator[S3]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3(f"http://{host}:{port}")
    finally:
        server.stop()
