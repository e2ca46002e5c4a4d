//! What the requests of [`crate::protocol`] do.

use std::sync::Arc;

use serde::Serialize;

use crate::machine::{CommandId, Event, Verb};
use crate::os::Token;
use crate::protocol::{Answer, Request};
use crate::record::{Chunk, OWN_NAME, Style};

use super::super::EventLoop;
use super::super::usage::Question;
use super::clients::Follow;

/// The longest answer with recent lines, in bytes.
const LONGEST_LOGS: usize = 2 * 1024 * 1024;

impl EventLoop {
    pub(super) fn take_request(&mut self, token: Token, line: &[u8]) {
        match serde_json::from_slice(line) {
            Ok(request) => self.obey(token, request),
            Err(error) => self.answer(token, false, format!("invalid request: {error}")),
        }
    }

    fn obey(&mut self, token: Token, request: Request) {
        match request {
            Request::Status => self.give_json(token, &self.status()),
            Request::Health { ready } => self.give_json(token, &self.health(ready)),
            Request::Start { name } => self.command(token, Verb::Start, name),
            Request::Stop { name } => self.command(token, Verb::Stop, name),
            Request::Restart { name } => self.command(token, Verb::Restart, name),
            Request::RollingRestart { name } => self.command(token, Verb::Roll, name),
            Request::Wait { name, ready: true } => self.command(token, Verb::AwaitUp, name),
            Request::Wait { name, ready: false } => self.command(token, Verb::AwaitDown, name),
            Request::Reload { name } => self.command(token, Verb::Reload, name),
            Request::Signal { name, signal } => match santa_config::signal::number(&signal) {
                Some(number) => self.command(token, Verb::Signal(number), name),
                None => self.answer(
                    token,
                    false,
                    format!(
                        "there is no signal \"{signal}\"; use a name or number such as TERM or 15"
                    ),
                ),
            },
            Request::Explain { name } => match self.explain(&name) {
                Ok(found) => self.give_json(token, &found),
                Err(refusal) => self.give_json(token, &refusal),
            },
            Request::Usage => self.ask_usage(token, Question::Usage),
            Request::Metrics => self.ask_usage(token, Question::Metrics),
            Request::Logs { name, lines, follow } => self.give_logs(token, name, lines, follow),
            Request::Events => self.follow(token, Follow::Events),
            Request::ReloadConfig => self.begin_reload(Some(token)),
            Request::Shutdown => {
                self.answer(token, true, "shutting down".to_owned());
                self.core
                    .events
                    .push_back(Event::Terminate { why: "shutdown requested".to_owned() });
            }
        }
    }

    fn command(&mut self, token: Token, verb: Verb, target: String) {
        self.control.last_command += 1;
        let id = CommandId(self.control.last_command);
        self.control.asked.insert(id, token);
        self.core.events.push_back(Event::Command { id, verb, target });
    }

    /// The core's answer to a command; its asker may have left.
    pub(in super::super) fn reply(&mut self, id: CommandId, outcome: Result<String, String>) {
        if let Some(token) = self.control.asked.remove(&id) {
            let ok = outcome.is_ok();
            self.answer(token, ok, outcome.unwrap_or_else(|problem| problem));
        }
    }

    pub(in super::super) fn answer(&mut self, token: Token, ok: bool, message: String) {
        self.give_json(token, &Answer { ok, message });
    }

    pub(in super::super) fn give_json(&mut self, token: Token, value: &impl Serialize) {
        // Our own types always have a JSON form.
        if let Ok(mut text) = serde_json::to_vec(value) {
            text.push(b'\n');
            self.give(token, &text.into());
        }
    }

    fn give_logs(&mut self, token: Token, name: Option<String>, lines: usize, follow: bool) {
        let known = |name: &str| {
            name == OWN_NAME
                || self
                    .core
                    .blueprints
                    .values()
                    .any(|blueprint| is_of(&blueprint.spec.label(), name))
        };
        if let Some(name) = name.as_deref().filter(|name| !known(name)) {
            self.answer(
                token,
                false,
                format!("there is no service \"{name}\"; `santa-supervise status` lists them"),
            );
            return self.leave_when_sent(token);
        }
        let last = self.last_lines_of(name.as_deref(), lines);
        self.give(token, &last.into());
        if follow {
            self.follow(token, Follow::Lines(name));
        } else {
            self.leave_when_sent(token);
        }
    }

    /// The last `lines` records, as far as they fit into one answer. Only what is
    /// given is formatted: a service may have written many short lines.
    fn last_lines_of(&self, name: Option<&str>, lines: usize) -> Vec<u8> {
        let chunks =
            self.output.outputs.recent(|service| name.is_none_or(|name| is_of(service, name)));
        let (mut left, mut room) = (lines, LONGEST_LOGS);
        let mut found = Vec::new();
        for chunk in chunks.iter().rev() {
            if left == 0 {
                break;
            }
            let count = chunk.lines().count();
            let mut text = Vec::new();
            chunk.last(left).write(Style::Json, &mut text);
            if text.len() > room {
                let over = &text[text.len() - room..];
                let whole = memchr::memchr(b'\n', over).map_or(&[][..], |end| &over[end + 1..]);
                found.push(whole.to_vec());
                break;
            }
            (left, room) = (left.saturating_sub(count), room - text.len());
            found.push(text);
        }
        found.reverse();
        found.concat()
    }

    fn follow(&mut self, token: Token, what: Follow) {
        if let Some(client) = self.control.clients.get_mut(token) {
            client.follow = what;
        }
    }

    /// Shows new output to everybody who follows it.
    pub(in super::super) fn show_to_followers(&mut self, chunk: &Arc<Chunk>) {
        let wants = |follow: &Follow| match follow {
            Follow::Nothing => false,
            Follow::Events => &*chunk.service == OWN_NAME,
            Follow::Lines(name) => name.as_deref().is_none_or(|name| is_of(&chunk.service, name)),
        };
        let tokens = self.control.clients.who(wants);
        if tokens.is_empty() {
            return;
        }
        let mut text = Vec::new();
        chunk.write(Style::Json, &mut text);
        let text = text.into();
        for token in tokens {
            self.give(token, &text);
        }
    }
}

/// Whether the output of `label` is meant by `NAME` or `NAME:INSTANCE`.
fn is_of(label: &str, name: &str) -> bool {
    label == name || label.split_once(':').is_some_and(|(service, _)| service == name)
}
