"""Mirrors in S3 and whatever speaks as it does: ``s3://bucket/key`` and ``ca+s3://bucket/prefix``.

An ``https`` address whose push config is of the kind ``s3`` is read over HTTP, and pushed to here.
What is read comes by a presigned URL, so that everything that holds for HTTP mirrors holds for these.
Who we are is told by what boto3 looks at: the variables AWS_*, or ``~/.aws``. An object gets its name when
all of it is there: that is S3's own promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn

from warpforge.errors import Unable
from warpforge.model.atoms import WarehouseAddr, WareId

from .download import Mark, open_download
from .http import HttpMirror, HttpSource, suppress_not_found
from .policy import Access
from .protocol import ca_paths, shown

_PRESIGNED: Final = 6 * 3600  # seconds
PARTS: Final = 8 << 20  # bytes from which on boto3 uploads in parts


class Place(NamedTuple):
    """A bucket and a key, or a key's beginning; endpoint and region may be empty."""

    endpoint: str
    region: str
    bucket: str
    path: str


class S3Mirror:
    """One object, or a bucket's part that keeps many."""

    def __init__(self, address: WarehouseAddr, access: Access) -> None:
        self._address = address
        self._access = access
        push = access.pushes.get(address)
        self._place = find_place(address, push.settings if push else {}, access)
        self._reads = None if address.scheme == "s3" else HttpMirror(address, access)
        if not self._place.bucket:
            raise self._error("no bucket is named", "policy")

    def open(self, ware: WareId) -> BinaryIO:
        return self.open_from(ware, None)

    def open_from(self, ware: WareId, mark: Mark | None) -> BinaryIO:
        if self._reads:
            return self._reads.open_from(ware, mark)
        *first, last = self._keys(ware)
        for key in first:
            with suppress_not_found():
                return self._open(key, mark)
        return self._open(last, mark)

    def has(self, ware: WareId) -> bool:
        return any(self._size(key) is not None for key in self._keys(ware))

    def push(self, ware: WareId, source: BinaryIO) -> None:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        key = self._keys(ware)[0]
        begin = source.tell()
        size = source.seek(0, 2) - begin
        source.seek(begin)
        if size >= PARTS:
            self._end_unfinished(key)
        try:
            self._client.upload_fileobj(_Unclosed(source), self._place.bucket, key)
        except (Boto3Error, BotoCoreError, ClientError) as error:
            self._explain(error)
        if self._size(key) != size:
            raise self._error("what was pushed is not there whole", "net")

    def _end_unfinished(self, key: str) -> None:
        """End uploads of this very key whose process was killed long ago: parts without an end are paid for."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        place = {"Bucket": self._place.bucket}
        before = datetime.now(UTC) - timedelta(seconds=self._access.policy.unfinished)
        with suppress(Boto3Error, BotoCoreError, ClientError):  # not everybody may list them
            for upload in self._client.list_multipart_uploads(**place, Prefix=key).get("Uploads", ()):
                if upload["Key"] == key and upload["Initiated"] <= before:
                    self._client.abort_multipart_upload(**place, Key=key, UploadId=upload["UploadId"])

    def _open(self, key: str, mark: Mark | None) -> BinaryIO:
        from botocore.exceptions import BotoCoreError

        try:
            url = self._client.generate_presigned_url(
                "get_object", {"Bucket": self._place.bucket, "Key": key}, ExpiresIn=_PRESIGNED
            )
        except BotoCoreError as error:
            self._explain(error)
        return open_download(HttpSource(url, shown(self._address), self._access), self._access.policy, mark)

    def _size(self, key: str) -> int | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self._client.head_object(Bucket=self._place.bucket, Key=key)
        except ClientError as error:
            if str(error.response.get("Error", {}).get("Code")) in ("404", "NoSuchKey", "NotFound"):
                return None
            self._explain(error)
        except BotoCoreError as error:
            self._explain(error)
        return int(found["ContentLength"])

    def _keys(self, ware: WareId) -> list[str]:
        """Where the ware may be; it is pushed to the first."""
        if not self._address.is_content_addressed:
            return [self._place.path]
        return ["/".join(filter(None, (self._place.path, path))) for path in ca_paths(ware)]

    @cached_property
    def _client(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise self._error("s3 mirrors need boto3: pip install 'warpforge[s3]'", "policy") from error
        policy = self._access.policy
        config = Config(
            connect_timeout=policy.connect,
            read_timeout=policy.stall,
            retries={"total_max_attempts": policy.tries, "mode": "standard"},
            signature_version="s3v4",
            # other makers of S3 know no new checksums, nor a host name for each bucket
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"} if self._place.endpoint else None,
            proxies=dict(self._access.proxies) or None,
        )
        endpoint, region = self._place.endpoint or None, self._place.region or None
        return boto3.session.Session().client("s3", endpoint_url=endpoint, region_name=region, config=config)

    def _explain(self, error: Exception) -> NoReturn:
        """Words for a fault of boto3."""
        from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            raise self._error("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "policy") from error
        cause: Any = error if isinstance(error, ClientError) else error.__cause__ or error.__context__
        if isinstance(cause, ClientError):
            code = str(cause.response.get("Error", {}).get("Code", "?"))
            raise self._error(f"the server said {code}", "net") from error
        raise self._error(f"cannot be reached ({type(error).__name__})", "net") from error

    def _error(self, what: str, reason: str) -> Unable:
        name = shown(self._address)
        return Unable("fetch", f"{name}: {what}", reason=reason, address=name)


def find_place(address: WarehouseAddr, settings: Mapping[str, str], access: Access) -> Place:
    """Where an address leads: its push config (``endpoint region bucket path``) first, then itself, then the access."""
    bucket, _, path = address.url.removeprefix("s3://").partition("/") if address.scheme == "s3" else ("", "", "")
    endpoint = settings.get("endpoint") or access.s3_endpoint
    if endpoint and "://" not in endpoint:
        endpoint = "https://" + endpoint
    return Place(
        endpoint,
        settings.get("region") or access.s3_region or "us-east-1",
        settings.get("bucket") or bucket,
        (settings.get("path") or path).strip("/"),
    )


class _Unclosed:
    """A file that boto3 cannot close."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def close(self) -> None:
        pass
