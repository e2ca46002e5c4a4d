"""What a container must not be able to do, seen from inside and from the machine."""

import json
import stat
from pathlib import Path

import pytest

from tests.image.conftest import NewContainer
from tests.image.container import IMAGE, PYTHON, SUPERVISE, Container, podman

LISTENING = "0A"
WRITABLE = """
import os
skipped = {"/proc", "/sys", "/dev", "/run/postgres"}
found = []
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in skipped]
    if os.access(folder, os.W_OK):
        found.append(folder)
        folders[:] = []
    paths = [os.path.join(folder, name) for name in files]
    found += [path for path in paths if not os.path.islink(path) and os.access(path, os.W_OK)]
print("\\n".join(sorted(p for p in found if not p.startswith("/tmp/"))))
"""
FORKS = """
import os, signal
os.setpgrp()
for _ in range(1000):
    try:
        child = os.fork()
    except OSError:
        os.killpg(0, signal.SIGKILL)
    if child == 0:
        signal.pause()
"""
GREED = """
kept = []
while True:
    kept.append(bytearray(b"x" * (1 << 24)))
"""
READY = f"""
import subprocess, time
for _ in range(600):
    if subprocess.run(["{SUPERVISE}", "healthcheck", "--ready"]).returncode == 0:
        print("ready")
        break
    time.sleep(0.1)
"""


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def listeners(pid: int) -> set[tuple[str, int]]:
    """Return address and port of everything that listens in a process's network."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                address, _, port = fields[1].partition(":")
                found.add((address, int(port, 16)))
    return found


def test_every_process_is_unprivileged(running: Container) -> None:
    processes = running.processes()
    assert len(processes) >= 3
    for pid in processes:
        status = status_of(pid)
        assert status["Uid"].split() == ["101"] * 4
        assert status["Gid"].split() == ["101"] * 4
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"


def test_only_the_public_port_listens_beyond_loopback(running: Container) -> None:
    loopback = "0100007F"
    outside = {port for address, port in listeners(running.processes()[0]) if address != loopback}
    assert outside == {8080}


def test_nothing_but_tmp_can_be_written_to(running: Container) -> None:
    assert running.python(WRITABLE).split() == ["/tmp"]  # noqa: S108 - the one place


@pytest.mark.parametrize(
    "shell", ["/bin/sh", "/bin/bash", "/usr/bin/env", "/usr/bin/apt-get", "/usr/bin/pip"]
)
def test_there_is_no_shell_and_no_package_manager(running: Container, shell: str) -> None:
    assert running.exec(shell, check=False).returncode in {126, 127}


@pytest.mark.parametrize(
    "attempt",
    [
        "os.setuid(0)",
        "os.setgid(0)",
        "os.setgroups([0])",
        "os.chroot('/tmp')",
        "os.chown('/tmp', 0, 0)",
        "os.mknod('/tmp/disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))",
        "open('/etc/passwd', 'a')",
        "open('/app/santaserver/main.py', 'w')",
        "open('/proc/sys/kernel/core_pattern', 'w')",
        "open('/proc/sysrq-trigger', 'w')",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "checked(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))",
        "checked(libc.unshare(0x00020000))",
        "checked(libc.reboot(0))",
        "os.setpriority(os.PRIO_PROCESS, 0, -10)",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 30, 1 << 30))",
    ],
)
def test_an_escalation_attempt_fails(running: Container, attempt: str) -> None:
    code = (
        "import ctypes, os, resource, socket, stat\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def checked(result):\n    if result != 0: raise OSError(ctypes.get_errno(), 'refused')\n"
        f"try:\n    {attempt}\nexcept (OSError, ValueError) as error:\n    print('refused', error)\n"
    )
    assert running.python(code).startswith("refused")


def test_a_program_that_is_brought_along_does_not_run(running: Container) -> None:
    code = (
        "import os, shutil, subprocess\n"
        f"shutil.copy('{SUPERVISE}', '/tmp/own'); os.chmod('/tmp/own', 0o4755)\n"
        "try:\n    subprocess.run(['/tmp/own', '--version'])\nexcept PermissionError:\n    print('refused')\n"
        "os.unlink('/tmp/own')"
    )
    assert running.python(code) == "refused"


def test_memory_and_processes_have_limits_that_leave_the_server_alone(new_container: NewContainer) -> None:
    container = new_container().until_ready()
    assert container.exec(PYTHON, "-c", FORKS, check=False).returncode != 0
    assert container.exec(PYTHON, "-c", GREED, check=False).returncode != 0
    container.until_ready()


def test_it_runs_as_any_user_of_a_cluster(new_container: NewContainer) -> None:
    container = new_container(options=["--user=1000680000:0"]).until_ready()
    assert status_of(container.processes()[0])["Uid"].split()[0] == "1000680000"


def test_it_needs_no_network_but_its_database(new_container: NewContainer) -> None:
    container = new_container(options=["--network=none"])
    assert container.python(READY).endswith("ready")


def test_no_entry_of_the_file_system_has_a_special_bit(running: Container) -> None:
    mount = Path(podman("mount", running.id).stdout.strip())
    special = [
        str(path)
        for path in mount.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    ]
    podman("umount", running.id)
    assert special == []


def test_settings_and_history_hold_no_secret() -> None:
    found = json.loads(podman("inspect", IMAGE).stdout)[0]
    text = json.dumps([found["Config"], found["History"]]).upper()
    assert not [word for word in ("PASSWORD", "SECRET", "TOKEN") if word in text]
