"""No network but loopback, for this process and for every Python process started below it.

tests/conftest.py imports this module and puts its folder on PYTHONPATH, where Python looks for `sitecustomize` when
it starts: notebook kernels, worker processes and command-line tests are guarded alike. An audit hook cannot be
removed, and sees every use of Python's `socket` module, whoever calls it. Code that opens sockets without Python
(curl, Rust) is sent to a proxy that is not there, and huggingface_hub is told that it is offline.
"""

import ipaddress
import os
import socket
import sys

_ASKS_FOR_NAME = {"socket.getaddrinfo", "socket.gethostbyname"}
_SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}


def _is_local(host):
    if host in (None, "", b"", "localhost", b"localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse_network(event, arguments):
    if event in _ASKS_FOR_NAME:
        host = arguments[0]
    elif event in _SENDS and isinstance(arguments[1], tuple):  # a Unix socket's address is a path, not a tuple
        host = arguments[1][0]
    else:
        return
    if not _is_local(host):
        raise ConnectionRefusedError(f"the tests run without network: {event} to {host!r} refused")


sys.addaudithook(_refuse_network)
os.environ["HF_HUB_OFFLINE"] = "1"
for _name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ[_name] = os.environ[_name.upper()] = "http://127.0.0.1:9"  # the discard port: nobody answers
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1,::1"
