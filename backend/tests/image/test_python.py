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
UNCOMPILED = """
import os, sys
os.chdir("/app")
sys.path.insert(0, "/app")
import santaserver.main
specs = [module.__spec__ for module in list(sys.modules.values()) if getattr(module, "__spec__", None)]
sources = [spec for spec in specs if (spec.origin or "").endswith(".py")]
print(len(sources) > 300, [spec.name for spec in sources if not os.path.exists(spec.cached or "")])
"""

MIGRATION = """
import asyncio, os, sys
os.chdir("/app")
sys.path.insert(0, "/app")
from santaserver.migrations.runner import migrate
from santaserver.settings import load
outcome = asyncio.run(migrate(load(os.environ).database.dsn))
print(outcome.value, [name for name in ("fastapi", "starlette", "uvicorn") if name in sys.modules])
"""
SERVER = """
import os, sys
os.chdir("/app")
sys.path.insert(0, "/app")
import santaserver.main
print([name for name in ("santaserver.demo", "santaserver.migrations.runner") if name in sys.modules])
"""

# Imports of the standard library anywhere in what the server loads, in functions too.
LACKING = """
import ast, importlib.util, os, sys
os.chdir("/app")
sys.path.insert(0, "/app")
import santaserver.main
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
def imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
files = [file for file in files if file.startswith("/app/") and file.endswith(".py")]
nodes = [node for file in files for node in ast.walk(ast.parse(open(file, "rb").read()))]
names = {name for node in nodes for name in imported(node)}
names = {name for name in names if name.partition(".")[0] in sys.stdlib_module_names}
print(len(files) > 200, len(names) > 50, sorted(name for name in names if not there(name)))
"""


def test_every_compiled_module_loads_although_it_is_stripped(running: Container) -> None:
    count, _, failed = running.exec(
        "/usr/bin/python3.13", "-c", "import os; os.chdir('/app')\n" + MODULES
    ).stdout.partition(" ")
    assert failed.strip() == "[]"
    assert int(count) > 25


def test_certificates_are_found_although_there_is_no_openssl(running: Container) -> None:
    count = running.python("import ssl; print(len(ssl.create_default_context().get_ca_certs()))")
    assert int(count) > 100


def test_time_zones_are_there(running: Container) -> None:
    code = "import zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin'); print(len(zoneinfo.available_timezones()))"
    assert int(running.python(code)) > 400


def test_no_module_is_compiled_at_start(running: Container) -> None:
    assert running.python(UNCOMPILED) == "True []"


def test_what_the_image_leaves_out_of_the_standard_library_is_not_imported(running: Container) -> None:
    assert running.python(LACKING) == "True True []"


def test_migrations_load_nothing_of_the_server(running: Container) -> None:
    assert running.python(MIGRATION) == "up to date []"


def test_the_server_loads_nothing_that_only_commands_need(running: Container) -> None:
    assert running.python(SERVER) == "[]"
