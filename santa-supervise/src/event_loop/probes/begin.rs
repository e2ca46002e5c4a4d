//! One probe: a connection, a program, or a check of who listens.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use santa_config::Address;

use crate::machine::Generation;
use crate::os::Interest;
use crate::plan::ProbeKind;
use crate::readiness::{Outcome, Probe};
use crate::spawning::Like;

use super::super::connecting::{Attempt, Connecting};
use super::super::helpers::{Command, Purpose};
use super::super::io::Source;
use super::Context;
use super::watch::{Finding, InFlight, Watch, interval_of};

/// Longest a single probe of a starting service may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

impl Watch {
    /// Begins a probe; what it has found at once, or nothing while it is under way.
    pub(super) fn begin(
        &mut self,
        context: &mut Context<'_>,
        generation: Generation,
    ) -> Option<Finding> {
        context.children.get(generation)?;
        let blueprint = Rc::clone(&self.blueprint);
        let liveness = blueprint.liveness.as_ref().filter(|_| !self.is_readiness());
        let timeout = liveness.map_or(PROBE_TIMEOUT, |liveness| liveness.timeout);
        let probe = liveness.map(|liveness| &liveness.probe).or(blueprint.probe.as_ref());
        match probe? {
            ProbeKind::Listen(address) => listens(context, generation, address),
            ProbeKind::Exec(command) => self.run_program(context, generation, command, timeout),
            ProbeKind::Connect(address) => {
                self.connect(context, address, Probe::connection(address), timeout)
            }
            ProbeKind::Http(address, path) => {
                self.connect(context, address, Probe::get(address, path), timeout)
            }
            // Its message is late: nothing else makes such a watch due.
            ProbeKind::Notify => {
                let silence = timeout + interval_of(liveness);
                Some(Finding::Silent(format!("no WATCHDOG=1 for {silence:?}")))
            }
            ProbeKind::Log(_) => None,
        }
    }

    fn run_program(
        &mut self,
        context: &mut Context<'_>,
        generation: Generation,
        command: &[String],
        timeout: Duration,
    ) -> Option<Finding> {
        let command = Command {
            purpose: Purpose::Probe(generation),
            command,
            like: Like::Service(&self.blueprint),
            environment: Vec::new(),
            input: "",
            timeout,
        };
        match context.helpers.run(context.io, context.spawner, command) {
            Ok(pid) => {
                // Its own deadline comes first and ends it.
                self.under_way(InFlight::Program(pid), timeout + PROBE_TIMEOUT);
                None
            }
            Err(problem) => Some(Finding::of_program(Err(problem))),
        }
    }

    /// Begins a probe's connection; that to a starting service is tried until it
    /// listens.
    fn connect(
        &mut self,
        context: &mut Context<'_>,
        address: &Address,
        probe: io::Result<Probe>,
        timeout: Duration,
    ) -> Option<Finding> {
        let again = self.is_readiness();
        let begun = probe.and_then(|probe| {
            let (io, helpers) = (&mut *context.io, &mut *context.helpers);
            match Connecting::begin(io, helpers, probe.fd(), address, again, Source::Probe)? {
                Some(connecting) => Ok(InFlight::Connecting(connecting, probe)),
                None => await_answer(context, probe),
            }
        });
        match begun {
            Ok(in_flight) => {
                self.under_way(in_flight, timeout);
                None
            }
            Err(error) => Some(Finding::refused(&error)),
        }
    }

    /// Goes on with the probe under way.
    pub(super) fn advance(&mut self, context: &mut Context<'_>) -> Option<Finding> {
        match self.in_flight.as_mut()? {
            InFlight::Connecting(connecting, _) => {
                let attempt = connecting.look();
                self.connection_progressed(context, attempt)
            }
            InFlight::Connection(token, probe) => {
                let interest = match probe.advance() {
                    Outcome::Ready => return Some(Finding::Passed),
                    Outcome::NotReady(why) => return Some(Finding::Failed(why)),
                    Outcome::WaitToWrite => Interest::Write,
                    Outcome::WaitToRead => Interest::Read,
                };
                // Failure would show at the probe's timeout.
                let _ = context.io.rewatch(probe.fd(), *token, interest);
                None
            }
            InFlight::Program(_) => None,
        }
    }

    fn connection_progressed(
        &mut self,
        context: &mut Context<'_>,
        attempt: Attempt,
    ) -> Option<Finding> {
        match attempt {
            Attempt::UnderWay => None,
            Attempt::Refused(error) if error.raw_os_error().is_some() && self.is_readiness() => {
                self.problem = error.to_string();
                None
            }
            Attempt::Refused(error) => Some(Finding::refused(&error)),
            Attempt::Done => {
                let Some(InFlight::Connecting(connecting, probe)) = self.in_flight.take() else {
                    return None;
                };
                connecting.end(context.io, context.helpers);
                match await_answer(context, probe) {
                    Ok(in_flight) => {
                        self.in_flight = Some(in_flight);
                        None
                    }
                    Err(error) => Some(Finding::refused(&error)),
                }
            }
        }
    }
}

/// Waits for what moves on a probe's connection.
fn await_answer(context: &mut Context<'_>, probe: Probe) -> io::Result<InFlight> {
    let token = context.io.watch(probe.fd(), Interest::Write, Source::Probe)?;
    Ok(InFlight::Connection(token, probe))
}

fn listens(
    context: &mut Context<'_>,
    generation: Generation,
    address: &Address,
) -> Option<Finding> {
    let child = context.children.get(generation)?;
    let socket = context.sockets.get(address)?;
    // Where the system cannot tell, the socket itself must do: it accepts
    // from the first moment on, and connections wait for the service.
    let listens = context.io.os().listens(socket.fd(), child.tree()).unwrap_or(true);
    Some(match listens {
        true => Finding::Passed,
        false => Finding::Failed(format!("it does not listen on {address} yet")),
    })
}
