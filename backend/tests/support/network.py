"""A network of one's own, for what depends on the kernel's settings."""

import ctypes
import fcntl
import socket
import struct
from pathlib import Path

MIGRATION = Path("/proc/sys/net/ipv4/tcp_migrate_req")
"""Whether connections that wait in a closed listener move to another one at the same address."""
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def isolate(migration: bool) -> None:
    """Give this process, and those it starts, a network with a loopback device and nothing else."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare: no network namespace; this needs CAP_SYS_ADMIN")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
    MIGRATION.write_text("1" if migration else "0")
