"""A server of this machine that speaks S3, and what a writer of a bucket does in a process."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sklearn_pretrained import SharedFeatureCache
from sklearn_pretrained.cache.segments import SegmentStore
from tests.test_segments import BUNDLE, digest, rows


@contextmanager
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the address of an empty bucket; without moto and s3fs, skip what asks for one."""
    why = "a server of S3 runs in the environment of the engines"
    pytest.importorskip("s3fs", reason=why)
    server = pytest.importorskip("moto.server", reason=why).ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    # As a user's environment says it; other processes read the same.
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    try:
        s3fs.S3FileSystem().mkdir("bucket")
        yield "s3://bucket"
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()


def write(address: str, seed: str, n: int) -> None:
    """Store rows of random items for ever, merge now and then, and say which rows are stored."""
    store, dice = SegmentStore(address), random.Random(seed)
    while True:
        some = dice.sample(range(n), 10)
        store.refresh()
        found = store.get(BUNDLE, [digest(i) for i in some])
        missing = [i for i, got in zip(some, found, strict=True) if got is None]
        if missing and store.put(BUNDLE, [digest(i) for i in missing], rows(*missing)):
            os.write(1, b"".join(i.to_bytes(4, "big") for i in missing))
        if dice.random() < 0.1:
            SharedFeatureCache(address).compact()


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
