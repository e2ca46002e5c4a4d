"""The soak: the whole chain under load while faults happen, judged by what must hold for years.

`traffic.py` is the load, `faults.py` what goes wrong; `cycles.py` has both happen and stands idle in between,
where `checks.py` compares. `system.py` talks to the running santa-supervise and reads `/proc`. What was seen
is plain data, judged by pure functions: `ledger.py` (acknowledged writes), `outcomes.py` (requests and
recovery), `trends.py` (leaks), and all together by `judge.py`.
`cargo xtask soak` brings what it needs and runs it.
"""
