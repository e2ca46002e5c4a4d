//! A database that someone else keeps (`--database-url`): what is in it, and whether
//! the development loop may change it. Nothing is changed before that is decided.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::cmd;

use crate::{progress, run};

/// Counts what would be changed; prints JSON, or why the database does not answer.
const LOOK: &str = "import asyncio, asyncpg, json, os
async def look():
    db = await asyncpg.connect(os.environ['URL'], timeout=5)
    async def count(table):
        if await db.fetchval('select to_regclass($1)', table) is None:
            return None
        return await db.fetchval(f'select count(*) from {table}')
    tables = await db.fetchval(\"select count(*) from pg_tables where schemaname = current_schema()\")
    found = {name: await count(name) for name in ('app_user', 'enrollment', 'machine')}
    await db.close()
    return {'tables': tables, **found}
try:
    print(json.dumps(asyncio.run(look())))
except Exception as error:
    print(f'{type(error).__name__}: {error}')";

/// What is in a database; a table that is not there has no number.
#[derive(Debug, Default)]
struct Found {
    tables: u64,
    app_user: Option<u64>,
    enrollment: Option<u64>,
    machine: Option<u64>,
}

/// Says what will be done to the database at `url`, or refuses to do it to one that
/// has data in it, unless `demo` says that it is meant.
pub(super) fn check(python: &Path, url: &str, demo: bool) -> Result<()> {
    let found = look(python, url)?;
    let name = name(url);
    if let Some(holds) = found.holds()
        && !demo
    {
        bail!(
            "{name} holds {holds}, and nothing was changed: cargo xtask dev would {CHANGES}; name an empty database, or pass --demo if that is intended"
        );
    }
    progress::note(&format!("{name}: cargo xtask dev will {CHANGES}"));
    Ok(())
}

const CHANGES: &str = "migrate it to this version, give the account admin a password of its own, add an enrollment and, where there are no Macs, a demo fleet";

impl Found {
    /// What would be changed, in words; nothing for an empty database.
    fn holds(&self) -> Option<String> {
        let Some(accounts) = self.app_user else {
            let tables = self.tables;
            return (tables > 0).then(|| format!("{tables} tables that are not SantaServer's"));
        };
        let counts = [
            (accounts, "account"),
            (self.enrollment.unwrap_or(0), "enrollment"),
            (self.machine.unwrap_or(0), "Mac"),
        ];
        let words: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// The address is handed over in the environment, because it may hold a password.
fn look(python: &Path, url: &str) -> Result<Found> {
    let shell = run::shell()?;
    let answer =
        run::output("ask the database", cmd!(shell, "{python} -c {LOOK}").env("URL", url))?;
    let answer = answer.trim();
    ensure!(
        answer.starts_with('{'),
        "the database named by --database-url does not answer ({answer}); start it, or correct the address"
    );
    let answer: Value =
        serde_json::from_str(answer).context("the database's answer is not JSON")?;
    let number = |name: &str| answer[name].as_u64();
    Ok(Found {
        tables: number("tables").unwrap_or(0),
        app_user: number("app_user"),
        enrollment: number("enrollment"),
        machine: number("machine"),
    })
}

/// The database as people know it, without what may be secret.
fn name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('?').next().unwrap_or_default();
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("the database {}", place.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_database_is_changed_without_asking() {
        let ours = |accounts, machines| Found {
            tables: 40,
            app_user: Some(accounts),
            enrollment: Some(0),
            machine: Some(machines),
        };
        assert_eq!(Found::default().holds(), None);
        assert_eq!(ours(0, 0).holds(), None);
        assert_eq!(ours(3, 0).holds().as_deref(), Some("3 accounts"));
        assert_eq!(ours(1, 24).holds().as_deref(), Some("1 account, 24 Macs"));
        let foreign = Found { tables: 7, ..Found::default() }.holds();
        assert_eq!(foreign.as_deref(), Some("7 tables that are not SantaServer's"));
    }

    #[test]
    fn a_name_shows_no_password() {
        let named = |url| name(url);
        assert_eq!(named("postgresql://me:p@ss@db:5432/santa"), "the database db:5432/santa");
        assert_eq!(named("postgresql://me@/santa?host=/run&password=x"), "the database santa");
    }
}
