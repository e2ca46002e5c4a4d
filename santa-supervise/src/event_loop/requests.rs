//! What the requests of [`crate::protocol`] do.

use std::time::{Duration, Instant};

use crate::machine::{Event, Verb};
use crate::os::{Orphans, Token};
use crate::protocol::Request;
use crate::record::OWN_NAME;

use super::EventLoop;
use super::control::is_of;
use super::usage::{Finished, Question};

/// How long services are looked at in one turn.
const LOOK_FOR: Duration = Duration::from_millis(3);

impl EventLoop {
    pub(super) fn obey(&mut self, token: Token, request: Request) {
        match request {
            Request::Status => {
                let status = self.status();
                self.control.give_json(&mut self.io, token, &status);
            }
            Request::Health { ready } => {
                let health = self.health(ready);
                self.control.give_json(&mut self.io, token, &health);
            }
            Request::Start { name } => self.command(token, Verb::Start, name),
            Request::Stop { name } => self.command(token, Verb::Stop, name),
            Request::Restart { name } => self.command(token, Verb::Restart, name),
            Request::RollingRestart { name } => self.command(token, Verb::Roll, name),
            Request::Wait { name, ready: true } => self.command(token, Verb::AwaitUp, name),
            Request::Wait { name, ready: false } => self.command(token, Verb::AwaitDown, name),
            Request::Reload { name } => self.command(token, Verb::Reload, name),
            Request::Signal { name, signal } => match santa_config::signal::number(&signal) {
                Some(number) => self.command(token, Verb::Signal(number), name),
                None => self.refuse(
                    token,
                    format!(
                        "there is no signal \"{signal}\"; use a name or number such as TERM or 15"
                    ),
                ),
            },
            Request::Explain { name } => match self.explain(&name) {
                Ok(found) => self.control.give_json(&mut self.io, token, &found),
                Err(refusal) => self.control.give_json(&mut self.io, token, &refusal),
            },
            Request::Usage => self.ask_usage(token, Question::Usage),
            Request::Metrics => self.ask_usage(token, Question::Metrics),
            Request::Logs { name, lines, follow } => self.give_logs(token, name, lines, follow),
            Request::Events => self.control.follow_events(token),
            Request::ReloadConfig => self.begin_reload(Some(token)),
            Request::Shutdown => {
                self.control.answer(&mut self.io, token, true, "shutting down".to_owned());
                self.core.push(Event::Terminate { why: "shutdown requested".to_owned() });
            }
        }
    }

    fn refuse(&mut self, token: Token, why: String) {
        self.control.answer(&mut self.io, token, false, why);
    }

    fn command(&mut self, token: Token, verb: Verb, target: String) {
        let id = self.control.await_command(token);
        self.core.push(Event::Command { id, verb, target });
    }

    fn give_logs(&mut self, token: Token, name: Option<String>, lines: usize, follow: bool) {
        let is_known = |name: &str| {
            let mut blueprints = self.core.blueprints();
            name == OWN_NAME || blueprints.any(|(_, known)| is_of(&known.spec.label(), name))
        };
        if let Some(name) = name.as_deref().filter(|name| !is_known(name)) {
            self.refuse(
                token,
                format!("there is no service \"{name}\"; `santa-supervise status` lists them"),
            );
            return self.control.leave_when_sent(&mut self.io, token);
        }
        let wanted = |service: &str| name.as_deref().is_none_or(|name| is_of(service, name));
        let last = self.output.last_records(lines, wanted);
        self.control.give(&mut self.io, token, &last.into());
        if follow {
            self.control.follow_lines(token, name);
        } else {
            self.control.leave_when_sent(&mut self.io, token);
        }
    }

    /// Answers when all services have been looked at.
    fn ask_usage(&mut self, asker: Token, question: Question) {
        let services = self.core.state().slots().map(|(id, _)| id);
        if self.monitors.usages.ask(asker, question, services) {
            self.look_at_usage();
        }
    }

    /// Looks at some more services; at the end answers the clients.
    pub(super) fn look_at_usage(&mut self) {
        let end = Instant::now() + LOOK_FOR;
        let orphans = match self.monitors.usages.has_left() {
            true => self.orphans(),
            false => Orphans::default(),
        };
        while let Some(id) = self.monitors.usages.next() {
            // Services that a reload has taken away meanwhile are left out.
            let slot = self.core.state().slot(id);
            let found = slot.map(|slot| self.usage_of(id, slot, &orphans));
            self.monitors.usages.add(found);
            if end <= Instant::now() {
                break;
            }
        }
        if !self.monitors.usages.has_left() {
            let services = self.core.state().slots().map(|(id, _)| id);
            let finished = self.monitors.usages.finish(services);
            self.answer_usage(finished);
        }
    }

    fn answer_usage(&mut self, Finished { usage, askers }: Finished) {
        let wants_metrics = |(_, question): &(Token, Question)| *question == Question::Metrics;
        let metrics = askers.iter().any(wants_metrics).then(|| self.metrics(&usage));
        for (asker, question) in askers {
            match (question, &metrics) {
                (Question::Metrics, Some(metrics)) => {
                    self.control.answer(&mut self.io, asker, true, metrics.clone());
                }
                _ => self.control.give_json(&mut self.io, asker, &usage),
            }
            // It may have asked more.
            self.io.turn_mut().leave(asker);
        }
    }
}
