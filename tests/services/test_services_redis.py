"""The Redis that tests can use: there when it is asked for, and nothing of it left."""

from __future__ import annotations

from pathlib import Path

import pytest
from services.redis_server import RedisServer, running_redis


def test_redis_answers(redis_server: RedisServer) -> None:
    assert redis_server.ask("SET", "greeting", "hello") == "+OK"
    assert redis_server.ask("STRLEN", "greeting") == ":5"
    assert redis_server.ask("DEL", "greeting") == ":1"


def test_redis_is_gone_afterwards(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        assert server.ask("SET", "greeting", "hello") == "+OK"
    assert server.process.returncode is not None
    with pytest.raises(ConnectionRefusedError):
        server.ask("PING")
    assert [path.name for path in tmp_path.iterdir()] == ["log"], "nothing is kept on disk"
