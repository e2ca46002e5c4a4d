"""The model check: whatever goes wrong, every Mac ends with exactly what a plain model says.

`policy.py` is that model and knows nothing of the server; `mac.py` is a Mac with its own rule table
and everything that can happen to a sync; `world.py` lets both loose on the real application and a
real PostgreSQL. `python -m tests.model --syncs 1000000` is the long form.
"""
