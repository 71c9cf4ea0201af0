"""The guard that keeps the tests off the network, in this process and in those that it starts."""

import socket
import subprocess
import sys

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org", "2001:db8::1"])
def test_no_connection_leaves_this_machine(host):
    with pytest.raises(ConnectionRefusedError, match="without network"):
        socket.create_connection((host, 80), timeout=1)


def test_datagrams_and_raw_connects_are_refused_too():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, pytest.raises(ConnectionRefusedError):
        sender.sendto(b"x", ("192.0.2.1", 53))
    with socket.socket() as plain, pytest.raises(ConnectionRefusedError):
        plain.connect_ex(("192.0.2.1", 80))


def test_loopback_and_unix_sockets_work():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
    a, b = socket.socketpair()
    with a, b:
        a.sendall(b"x")
        assert b.recv(1) == b"x"


def test_the_guard_reaches_processes_started_by_a_test():
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "the tests run without network" in ended.stderr
