"""Publishers that a Mac may need to get out of a lock-out: allowed by the profile, before any synced rule.

A rule of the profile takes precedence over the server's rules, so that wrong rules can never block the device
management agent that could repair the Mac. Santa itself and Apple's critical binaries need no rule. Team IDs
as the publishers sign.
"""

from msgspec import structs

from santaserver.enrollment.schemas import Essential
from santaserver.policy.lifelines import AGENTS, SANTA

ESSENTIALS = tuple(
    Essential(key=key, name=name, use=use, team_id=team_id)
    for key, name, use, team_id in (
        *(structs.astuple(publisher) for publisher in (SANTA, *AGENTS)),
        ("google", "Google Chrome", "browser, updates", "EQHXZ8M8AV"),
        ("mozilla", "Firefox", "browser", "43AQ936H96"),
        ("slack", "Slack", "chat", "BQR82RBBHL"),
        ("zoom", "Zoom", "meetings", "BJ4HAAB9B3"),
        ("okta", "Okta Verify", "sign-in", "B7F62B65BN"),
        ("1password", "1Password", "passwords", "2BUA8C4S2C"),
        ("cisco", "Cisco Secure Client", "VPN", "DE8Y96K9QP"),
        ("paloalto", "GlobalProtect", "VPN", "PXPZ95SK77"),
        ("cloudflare", "Cloudflare WARP", "VPN", "68WVV388M8"),
        ("tailscale", "Tailscale", "VPN", "W5364U7YZB"),
    )
)
BY_KEY = {essential.key: essential for essential in ESSENTIALS}
