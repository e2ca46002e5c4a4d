"""Python in the image: every stripped module loads, certificates and time zones are there."""

from tests.image.container import Container

MODULES = """
import importlib, os, sys
tag = ".cpython-313-"
failed, count = [], 0
for root in ("/app", "/usr/lib/python3.13/lib-dynload"):
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(".so") and ".libs" not in folder:
                path = os.path.relpath(os.path.join(folder, name.split(".")[0]), root)
                try:
                    importlib.import_module(path.replace("/", "."))
                except Exception as error:
                    failed.append(f"{path}: {error!r}")
                count += 1
print(count, failed)
"""
CACHED = """
import sys
import santaserver.main
print(sorted(m.__name__ for m in list(sys.modules.values())
    if (getattr(m, "__file__", None) or "").endswith(".py") and m.__name__ != "__main__"
    and not (m.__cached__ and __import__("os").path.exists(m.__cached__))))
"""


def test_every_compiled_module_loads_although_it_is_stripped(running: Container) -> None:
    count, _, failed = running.exec("/usr/bin/python3.13", "-c", "import os; os.chdir('/app')\n" + MODULES).stdout.partition(" ")
    assert failed.strip() == "[]"
    assert int(count) > 40


def test_certificates_are_found_although_there_is_no_openssl(running: Container) -> None:
    count = running.python("import ssl; print(len(ssl.create_default_context().get_ca_certs()))")
    assert int(count) > 100


def test_time_zones_are_there(running: Container) -> None:
    code = "import zoneinfo; print(zoneinfo.ZoneInfo('Europe/Berlin'), len(zoneinfo.available_timezones()) > 400)"
    assert running.python(code) == "Europe/Berlin True"


def test_no_module_is_compiled_at_start(running: Container) -> None:
    code = "import os, sys; os.chdir('/app'); sys.path.insert(0, '/app')\n" + CACHED
    assert running.python(code) == "[]"
