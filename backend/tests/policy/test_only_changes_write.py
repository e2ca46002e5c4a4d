"""Nothing but a `Change` writes the policy log: shown by the statements in the sources."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import santaserver

PACKAGE = Path(santaserver.__file__).parent
HEAD = PACKAGE / "policy" / "head.py"
TABLES = (
    "rule",
    "rule_version",
    "setting_version",
    "tag_version",
    "tag_order_version",
    "tag_member",
    "policy_head",
    "policy_change",
)
WRITES = re.compile(
    rf"\b(insert\s+into|update|delete\s+from|copy|truncate)\s+({'|'.join(TABLES)})\b", re.IGNORECASE
)
WRITERS = {"store_head", "lock_head"}
BY_REPORT = {
    "follow_report": "sync/membership.py",
    "return_reported": "enrollment/identity.py",
    "prune_history": "schedule.py",
}
"""Functions that write memberships that follow from a Mac's report, or are too old, and who may use each."""


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in PACKAGE.rglob("*.py"):
        if "migrations" not in path.parts:
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def writes(node: ast.AST) -> bool:
    texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return any(isinstance(text, str) and WRITES.search(text) for text in texts)


def constants(module: ast.Module) -> set[str]:
    """Return the names of a module's statements that write."""
    assigned = (node for node in module.body if isinstance(node, ast.Assign) and writes(node.value))
    return {target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)}


def writing_functions(module: ast.Module) -> Iterator[ast.AsyncFunctionDef | ast.FunctionDef]:
    statements = constants(module)
    for node in ast.walk(module):
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            body = ast.Module(node.body[1:] if ast.get_docstring(node) else node.body, [])
            if names & statements or writes(body):
                yield node


def takes_change(function: ast.AsyncFunctionDef | ast.FunctionDef) -> bool:
    annotations = (argument.annotation for argument in function.args.args)
    return "Change" in {ast.unparse(annotation) for annotation in annotations if annotation}


def test_what_writes_the_log_takes_a_change() -> None:
    found = [(path, function) for path, module in sources() for function in writing_functions(module)]
    assert {path.relative_to(PACKAGE).as_posix() for path, _ in found} >= {
        "policy/head.py",
        "policy/schedule_repository.py",
        "policy/tag_log.py",
        "rules/repository.py",
        "rules/transfer_apply.py",
        "sync_settings/repository.py",
        "tags/repository.py",
    }
    others = [
        f"{path.relative_to(PACKAGE)}: {function.name}"
        for path, function in found
        if path != HEAD and not takes_change(function) and function.name not in BY_REPORT
    ]
    assert others == []


def test_only_the_log_of_memberships_writes_them() -> None:
    members = re.compile(r"\b(insert\s+into|update|delete\s+from)\s+tag_member\b", re.IGNORECASE)
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path, module in sources()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and members.search(node.value)
    }
    assert found == {"policy/member_log.py", "sync/history.py"}


@pytest.mark.parametrize(("name", "user"), BY_REPORT.items())
def test_only_syncs_write_memberships_without_a_number(name: str, user: str) -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path, module in sources()
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and name in {one.name for one in node.names}
    }
    assert users == {user}


def test_only_a_change_takes_numbers() -> None:
    users = set()
    for path, module in sources():
        for node in ast.walk(module):
            if isinstance(node, ast.ImportFrom) and WRITERS & {name.name for name in node.names}:
                users.add(path.relative_to(PACKAGE).as_posix())
            if isinstance(node, ast.Attribute) and node.attr in WRITERS:
                users.add(path.relative_to(PACKAGE).as_posix())
    assert users == {"policy/change.py"}


def test_only_a_restore_skips_numbers() -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path, module in sources()
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and "skip_numbers" in {name.name for name in node.names}
    }
    assert users == {"backup/settle.py"}
