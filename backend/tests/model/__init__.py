"""The model check: whatever goes wrong, every Mac ends with exactly what a plain model says.

`policy.py` is that model and knows nothing of the server; `mac.py` is a Mac with its own rule table
and everything that can happen to a sync, `admin.py` whoever changes rules meanwhile; `world.py` lets
them loose on the real application and a real PostgreSQL, directly or over connections that end at
any byte (`wire.py`, `http1.py`, `stacks.py`). `cargo xtask model` is the long form.
"""
