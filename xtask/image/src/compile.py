"""Compiles every source under a folder to byte code beside it.

Run by the image's own interpreter (see bytecode.rs). The byte code carries the
hash of its source, which is not looked up at run time, and the name that the
source has in the image, so that it depends on nothing but source and interpreter.
"""

import importlib.util
import sys
import warnings
from importlib._bootstrap_external import _code_to_hash_pyc
from os import makedirs, walk

root = sys.argv[1]
warnings.simplefilter("ignore")
failed = 0
for folder, folders, names in walk(root):
    folders[:] = [name for name in folders if name != "__pycache__"]
    for name in names:
        if not name.endswith(".py"):
            continue
        with open(f"{folder}/{name}", "rb") as file:
            source = file.read()
        try:
            code = compile(source, f"{folder[len(root) :]}/{name}", "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError) as error:
            failed += 1
            print(f"{folder[len(root) :]}/{name}: {error}")
            continue
        makedirs(f"{folder}/__pycache__", exist_ok=True)
        stem, tag = name.removesuffix(".py"), sys.implementation.cache_tag
        with open(f"{folder}/__pycache__/{stem}.{tag}.pyc", "wb") as file:
            file.write(_code_to_hash_pyc(code, importlib.util.source_hash(source), False))
print(f"failed {failed}")
