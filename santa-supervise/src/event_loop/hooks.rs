//! Tells hooks of changes of state, by a program or by a POST. A hook that fails
//! is a warning; one that hangs ends at its deadline; neither holds anything up.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use santa_config::{Hook, PostTarget};
use serde_json::Value;

use crate::machine::Phase;
use crate::os::{Interest, Token};
use crate::readiness::{Outcome, Probe};
use crate::spawning::{Like, Problem};

use super::connecting::{Attempt, Connecting};
use super::helpers::Purpose;
use super::{EventLoop, Source};

/// Most hooks under way at a time; a service that flaps must not fill the
/// container with programs.
const AT_ONCE: usize = 16;

#[derive(Debug)]
struct Post {
    hook: String,
    /// Until its connection is there.
    connecting: Option<Connecting>,
    look: Probe,
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
}

/// Whether `hook` is for this change.
fn is_for(hook: &Hook, service: &str, to: Phase) -> bool {
    hook.states.iter().any(|state| state.word() == to.word())
        && (hook.services.is_empty() || hook.services.iter().any(|name| name == service))
}

impl EventLoop {
    /// Tells everybody who is to know that a service is now `to`; `record` is
    /// what events show of it.
    pub(super) fn call_hooks(&mut self, service: &str, to: Phase, record: &Value) {
        let configured = self.monitors.hooks.configured.iter();
        let called: Vec<Hook> =
            configured.filter(|hook| is_for(hook, service, to)).cloned().collect();
        for hook in called {
            if self.monitors.hooks.posts.len() + self.processes.helpers.hooks() >= AT_ONCE {
                self.hook_done(&hook.name, Err("too many hooks are under way".to_owned()));
                continue;
            }
            let text = record.to_string();
            let begun = match &hook.post {
                Some(target) => self.begin_post(&hook, target, &text),
                None => self.run_hook(&hook, record, &text),
            };
            if begun.is_err() {
                self.hook_done(&hook.name, begun);
            }
        }
    }

    pub(super) fn hooks_under_way(&self) -> bool {
        !self.monitors.hooks.posts.is_empty() || self.processes.helpers.hooks() > 0
    }

    fn run_hook(&mut self, hook: &Hook, record: &Value, text: &str) -> Result<(), String> {
        let word = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let environment = vec![
            ("SANTA_EVENT_NAME", word("name")),
            ("SANTA_EVENT_INSTANCE", record["instance"].to_string()),
            ("SANTA_EVENT_FROM", word("from")),
            ("SANTA_EVENT_TO", word("to")),
            ("SANTA_EVENT_WHY", word("why")),
        ];
        let purpose = Purpose::Hook(hook.name.clone());
        let text = format!("{text}\n");
        let like = Like::Ourselves(&hook.env_pass);
        self.run_helper(purpose, &hook.command, like, environment, &text, hook.timeout)
            .map(drop)
            .map_err(Problem::into_message)
    }

    fn begin_post(&mut self, hook: &Hook, target: &PostTarget, text: &str) -> Result<(), String> {
        let failed = |error: io::Error| format!("{}: {error}", target.address);
        let look = Probe::post(&target.address, &target.path, text).map_err(failed)?;
        let connecting = self
            .begin_connecting(look.fd(), &target.address, false, Source::Hook)
            .map_err(failed)?;
        let hook = Post {
            hook: hook.name.clone(),
            connecting,
            look,
            deadline: Instant::now() + hook.timeout,
        };
        self.await_post(hook).map_err(failed)
    }

    /// Waits for what moves on a post's connection, or on the way to it.
    fn await_post(&mut self, post: Post) -> io::Result<()> {
        let token = match &post.connecting {
            Some(connecting) => connecting.token,
            None => {
                let token = self.io.sources.add(Source::Hook);
                self.io.os.watch(post.look.fd(), token, Interest::Write).inspect_err(|_| {
                    self.io.sources.remove(token);
                })?;
                token
            }
        };
        self.monitors.hooks.posts.insert(token, post);
        Ok(())
    }

    /// Something moved on a post's connection, or on the way to it.
    pub(super) fn go_on_posting(&mut self, token: Token) {
        let Some(post) = self.monitors.hooks.posts.get_mut(&token) else { return };
        if let Some(connecting) = &post.connecting {
            return match connecting.look() {
                Attempt::UnderWay => {}
                Attempt::Refused(error) => self.end_post(token, Err(error.to_string())),
                Attempt::Done => self.post_connected(token),
            };
        }
        match post.look.advance() {
            Outcome::Ready => self.end_post(token, Ok(())),
            Outcome::NotReady(why) => self.end_post(token, Err(why)),
            // Failure would show at the deadline.
            Outcome::WaitToWrite => {
                drop(self.io.os.rewatch(post.look.fd(), token, Interest::Write))
            }
            Outcome::WaitToRead => drop(self.io.os.rewatch(post.look.fd(), token, Interest::Read)),
        }
    }

    fn post_connected(&mut self, token: Token) {
        let Some(mut post) = self.monitors.hooks.posts.remove(&token) else { return };
        if let Some(connecting) = post.connecting.take() {
            self.end_connecting(&connecting);
        }
        let name = post.hook.clone();
        if let Err(error) = self.await_post(post) {
            self.hook_done(&name, Err(error.to_string()));
        }
    }

    pub(super) fn end_slow_posts(&mut self, now: Instant) {
        let posts = self.monitors.hooks.posts.iter();
        let late: Vec<Token> =
            posts.filter(|(_, post)| post.deadline <= now).map(|(token, _)| *token).collect();
        for token in late {
            self.end_post(token, Err("timed out".to_owned()));
        }
    }

    fn end_post(&mut self, token: Token, outcome: Result<(), String>) {
        if let Some(post) = self.monitors.hooks.posts.remove(&token) {
            match &post.connecting {
                Some(connecting) => self.end_connecting(connecting),
                None => {
                    self.io.os.forget(post.look.fd(), token);
                    self.io.sources.remove(token);
                }
            }
            self.hook_done(&post.hook, outcome);
        }
    }

    pub(super) fn hook_done(&mut self, hook: &str, outcome: Result<(), String>) {
        if let Err(problem) = outcome {
            self.warn(&format!("hook {hook} failed: {problem}"));
        }
    }
}
