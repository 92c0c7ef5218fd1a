"""Embedded-server tests start servers of their own, in data directories of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowledger.embedded.places import runtime_directory
from flowledger.embedded.servers import EmbeddedServers


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; whatever a test leaves running over it is ended."""
    yield (directory := tmp_path / "data")
    if directory.exists():
        EmbeddedServers(directory, durable=False).discard(patience=30)


@pytest.fixture
def servers(data_dir: Path) -> Iterator[EmbeddedServers]:
    """Servers over `data_dir`, not started."""
    servers = EmbeddedServers(data_dir, durable=False)
    yield servers
    servers.stop()
    assert not runtime_directory(data_dir).exists()
