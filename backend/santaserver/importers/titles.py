"""What people call the formats."""

TITLES = {
    "moroz": "Moroz (TOML)",
    "rudolph": "Rudolph (CSV or JSON)",
    "zentral_api": "Zentral, rules from its API",
    "zentral_ruleset": "Zentral, ruleset",
    "terraform": "Terraform (Workshop or Zentral)",
    "santactl": "santactl (JSON)",
    "mobileconfig": "Configuration profile or property list",
    "rules_db": "Rows of Santa's rules.db",
    "fleet_santa_rules": "Fleet's table santa_rules",
    "trailofbits_santa_rules": "Trail of Bits' table santa_rules",
    "contour": "contour (YAML or JSON)",
    "ruledownload": "Answer to ruledownload",
    "upvote_log": "Upvote's table Rule",
    "santa_log": "Santa's log",
    "spreadsheet": "Table of rules",
    "unknown": "Unknown",
}
