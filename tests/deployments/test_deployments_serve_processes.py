import asyncio
import socket

import pytest

from deployments.serve_processes import SharingLoop, _OneByOne


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as plain:
        plain.setblocking(False)
        with _OneByOne(fileno=plain.detach()) as one_by_one:
            yield one_by_one


def test_a_turn_gives_one_connection_and_the_next_turn_another(listening):
    waiting = [socket.create_connection(listening.getsockname()) for _ in range(2)]
    for _ in waiting:
        accepted, _ = listening.accept()
        accepted.close()
        with pytest.raises(BlockingIOError):
            listening.accept()
    for one in waiting:
        one.close()


def test_a_turn_in_which_none_waits_does_not_count(listening):
    for _ in range(2):
        with pytest.raises(BlockingIOError):
            listening.accept()
    with socket.create_connection(listening.getsockname()):
        listening.accept()[0].close()


def test_connections_are_spread_over_loops_that_listen_at_one_socket():
    """Two loops take turns, as processes do: each gets half of what waits."""
    with socket.create_server(("127.0.0.1", 0)) as shared:
        shared.setblocking(False)
        counts = {}
        loops = [SharingLoop(), SharingLoop()]
        servers = []
        for loop in loops:
            counts[loop] = 0

            def made(loop=loop):
                counts[loop] += 1
                return asyncio.Protocol()

            servers.append(loop.run_until_complete(loop.create_server(made, sock=shared)))
        waiting = [socket.create_connection(shared.getsockname()) for _ in range(16)]
        for _ in range(40):
            for loop in loops:
                loop.run_until_complete(asyncio.sleep(0))
        assert sum(counts.values()) == 16
        assert min(counts.values()) >= 6
        for one in waiting:
            one.close()
        for loop, server in zip(loops, servers, strict=True):
            server.close()
            loop.run_until_complete(server.wait_closed())
            loop.close()
