//! Hooks that are called at changes of state, by a program or by a POST. One that fails is a
//! warning; one that hangs ends at its deadline; neither holds anything up.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use santa_config::{Hook, PostTarget};
use serde_json::Value;

use crate::machine::Phase;
use crate::os::{Interest, Token};
use crate::readiness::{Outcome, Probe};
use crate::spawning::{Like, Problem, Spawner};

use super::connecting::{Attempt, Connecting};
use super::helpers::{Command, Helpers, Purpose};
use super::io::{Io, Source};

/// Most hooks under way at a time; a service that flaps must not fill the
/// container with programs.
const AT_ONCE: usize = 16;

/// A hook that failed, and why.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) hook: String,
    pub(super) problem: String,
}

/// A request under way.
#[derive(Debug)]
struct Post {
    hook: String,
    /// Until its connection is there.
    connecting: Option<Connecting>,
    request: Probe,
    deadline: Instant,
}

/// The configured hooks, and the posts under way.
#[derive(Debug)]
pub(super) struct Hooks {
    configured: Vec<Hook>,
    posts: BTreeMap<Token, Post>,
}

impl Hooks {
    pub(super) fn new(configured: Vec<Hook>) -> Self {
        Self { configured, posts: BTreeMap::new() }
    }

    /// Hooks of a changed configuration; posts under way go on.
    pub(super) fn configure(&mut self, configured: Vec<Hook>) {
        self.configured = configured;
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.posts.values().map(|post| post.deadline).min()
    }

    pub(super) fn is_under_way(&self, helpers: &Helpers) -> bool {
        self.under_way(helpers) > 0
    }

    fn under_way(&self, helpers: &Helpers) -> usize {
        self.posts.len() + helpers.hooks()
    }

    /// Tells every hook that is to know that a service is now `to`; `record` is
    /// what events show of it.
    pub(super) fn call(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        spawner: &mut Spawner,
        (service, to): (&str, Phase),
        record: &Value,
    ) -> Vec<Failed> {
        let configured = self.configured.iter();
        let called: Vec<Hook> =
            configured.filter(|hook| is_for(hook, service, to)).cloned().collect();
        let mut failed = Vec::new();
        for hook in called {
            let begun = if self.under_way(helpers) >= AT_ONCE {
                Err("too many hooks are under way".to_owned())
            } else {
                match &hook.post {
                    Some(target) => self.begin_post(io, helpers, &hook, target, record),
                    None => run_program(io, helpers, spawner, &hook, record),
                }
            };
            failed.extend(begun.err().map(|problem| Failed { hook: hook.name, problem }));
        }
        failed
    }

    fn begin_post(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        hook: &Hook,
        target: &PostTarget,
        record: &Value,
    ) -> Result<(), String> {
        let failed = |error: io::Error| format!("{}: {error}", target.address);
        let text = record.to_string();
        let request = Probe::post(&target.address, &target.path, &text).map_err(failed)?;
        let connecting =
            Connecting::begin(io, helpers, request.fd(), &target.address, false, Source::Hook)
                .map_err(failed)?;
        let deadline = Instant::now() + hook.timeout;
        let post = Post { hook: hook.name.clone(), connecting, request, deadline };
        self.await_progress(io, post).map_err(failed)
    }

    /// Waits for what moves on a post's connection, or on the way to it.
    fn await_progress(&mut self, io: &mut Io, post: Post) -> io::Result<()> {
        let token = match &post.connecting {
            Some(connecting) => connecting.token(),
            None => io.watch(post.request.fd(), Interest::Write, Source::Hook)?,
        };
        self.posts.insert(token, post);
        Ok(())
    }

    /// Something moved on a post's connection, or on the way to it.
    pub(super) fn advance(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        token: Token,
    ) -> Option<Failed> {
        let post = self.posts.get_mut(&token)?;
        if let Some(connecting) = &post.connecting {
            return match connecting.look() {
                Attempt::UnderWay => None,
                Attempt::Refused(error) => self.end(io, helpers, token, Err(error.to_string())),
                Attempt::Done => self.connected(io, helpers, token),
            };
        }
        match post.request.advance() {
            Outcome::Ready => self.end(io, helpers, token, Ok(())),
            Outcome::NotReady(why) => self.end(io, helpers, token, Err(why)),
            // Failure would show at the deadline.
            Outcome::WaitToWrite => {
                let _ = io.rewatch(post.request.fd(), token, Interest::Write);
                None
            }
            Outcome::WaitToRead => {
                let _ = io.rewatch(post.request.fd(), token, Interest::Read);
                None
            }
        }
    }

    fn connected(&mut self, io: &mut Io, helpers: &mut Helpers, token: Token) -> Option<Failed> {
        let mut post = self.posts.remove(&token)?;
        if let Some(connecting) = post.connecting.take() {
            connecting.end(io, helpers);
        }
        let hook = post.hook.clone();
        let error = self.await_progress(io, post).err()?;
        Some(Failed { hook, problem: error.to_string() })
    }

    /// Ends posts that take too long.
    pub(super) fn end_slow(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        now: Instant,
    ) -> Vec<Failed> {
        let posts = self.posts.iter();
        let late: Vec<Token> =
            posts.filter(|(_, post)| post.deadline <= now).map(|(token, _)| *token).collect();
        let late = late.into_iter();
        late.filter_map(|token| self.end(io, helpers, token, Err("timed out".to_owned()))).collect()
    }

    fn end(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        token: Token,
        outcome: Result<(), String>,
    ) -> Option<Failed> {
        let post = self.posts.remove(&token)?;
        match &post.connecting {
            Some(connecting) => connecting.end(io, helpers),
            None => io.forget(post.request.fd(), token),
        }
        outcome.err().map(|problem| Failed { hook: post.hook, problem })
    }
}

fn run_program(
    io: &mut Io,
    helpers: &mut Helpers,
    spawner: &mut Spawner,
    hook: &Hook,
    record: &Value,
) -> Result<(), String> {
    let word = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let environment = vec![
        ("SANTA_EVENT_NAME", word("name")),
        ("SANTA_EVENT_INSTANCE", record["instance"].to_string()),
        ("SANTA_EVENT_FROM", word("from")),
        ("SANTA_EVENT_TO", word("to")),
        ("SANTA_EVENT_WHY", word("why")),
    ];
    let command = Command {
        purpose: Purpose::Hook(hook.name.clone()),
        command: &hook.command,
        like: Like::Ourselves(&hook.env_pass),
        environment,
        input: &format!("{record}\n"),
        timeout: hook.timeout,
    };
    helpers.run(io, spawner, command).map(drop).map_err(Problem::into_message)
}

/// Whether `hook` is for this change.
fn is_for(hook: &Hook, service: &str, to: Phase) -> bool {
    hook.states.iter().any(|state| state.word() == to.word())
        && (hook.services.is_empty() || hook.services.iter().any(|name| name == service))
}
