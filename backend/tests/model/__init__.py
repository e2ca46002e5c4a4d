"""The model check: after any faults, every Mac ends with exactly the rules of a plain model.

`policy.py` is that model and independent of the server; `mac.py` is a Mac with its own rule table and all
faults of a sync, `admin.py` the administrators; `world.py` runs them against the real application and a real
PostgreSQL, directly or over connections that end at any byte (`wire.py`, `http1.py`, `stacks.py`). `cargo
xtask model` is the long form.
"""
