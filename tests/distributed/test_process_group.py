"""The process group: a process that is alone, and processes that do not find each other."""

import datetime
import socket

import pytest
import torch

from recbole_kd.distributed import process_group
from recbole_kd.distributed.process_group import (
    ProcessInfo,
    all_gather,
    broadcast_object,
    join_group,
    process_count,
    process_rank,
    rank0_first,
)
from recbole_kd.distributed.sharding import divided_threads

CPU = torch.device("cpu")


def test_a_single_process_does_not_communicate():
    assert (process_count(), process_rank()) == (1, 0)
    assert broadcast_object("it") == "it" and all_gather("it") == ["it"]
    with rank0_first(), divided_threads():
        assert process_count() == 1


def test_a_port_in_use_is_named(workdir):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        meeting = f"tcp://localhost:{taken.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"process 0 of 2 does not find the others at {meeting}"):  # noqa: SIM117
            with join_group(ProcessInfo(0, 2, 0, 2, meeting), CPU):
                pass
    assert process_count() == 1


def test_a_process_without_peers_ends(monkeypatch):
    monkeypatch.setattr(process_group, "RENDEZVOUS_TIMEOUT", datetime.timedelta(seconds=2))
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    for rank in (0, 1):
        with pytest.raises(ConnectionError, match=f"process {rank} of 2 does not find the others"):  # noqa: SIM117
            with join_group(ProcessInfo(rank, 2, 0, 1, f"tcp://localhost:{port}"), CPU):
                pass
    assert process_count() == 1


def test_a_process_says_what_it_waits_for(monkeypatch, caplog):
    monkeypatch.setattr(process_group, "RENDEZVOUS_TIMEOUT", datetime.timedelta(seconds=2))
    monkeypatch.setattr(process_group, "NOTICE_SECONDS", 0.2)
    with socket.socket() as free:
        free.bind(("", 0))
        meeting = f"tcp://localhost:{free.getsockname()[1]}"
    for local_rank, said in ((0, 1), (1, 0)):
        caplog.clear()
        with pytest.raises(ConnectionError, match="does not find"):  # noqa: SIM117
            with join_group(ProcessInfo(1, 2, local_rank, 1, meeting), CPU):
                pass
        sentence = f"process 1 of 2 waits for the others at {meeting}, for 0 minutes at most: start them"
        assert caplog.text.count(sentence) == said
