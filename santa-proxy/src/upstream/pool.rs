//! The instances of a backend as one worker sees them: least connections first, those that
//! failed recently later and drained ones last, idle connections kept for reuse.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use santa_config::Address;
use tokio::time::{Instant, sleep};

use super::connect::{Remedy, attempt, pause, remedy};
use super::membership::Drained;
use crate::io::stream::Stream;
use crate::metrics::{InstanceMetrics, WorkerMetrics};

/// Idle connections kept per instance.
const MAX_IDLE: usize = 64;
/// How long an idle connection is kept: less than the backend keeps it (75 s; uvicorn's
/// default would be 5 s), so that it is rarely closed just as a request is sent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a failed instance is skipped while others work.
const DOWN_FOR: Duration = Duration::from_secs(1);

/// All instances of one backend.
#[derive(Debug)]
pub(crate) struct Backend {
    instances: Vec<Rc<Instance>>,
    next: Cell<usize>,
}

/// One instance.
#[derive(Debug)]
pub(crate) struct Instance {
    address: Address,
    idle: RefCell<Vec<(Stream, Instant)>>,
    active: Cell<u32>,
    down_until: Cell<Option<Instant>>,
    drained: Cell<bool>,
    metrics: Arc<InstanceMetrics>,
}

/// A connection to an instance, counted as long as it lives.
#[derive(Debug)]
pub(crate) struct Lease {
    /// The connection.
    pub(crate) stream: Stream,
    /// Whether it has carried a request before.
    reused: bool,
    counted: Counted,
}

#[derive(Debug)]
struct Counted(Rc<Instance>);

impl Counted {
    fn new(instance: &Rc<Instance>) -> Self {
        instance.active.set(instance.active.get() + 1);
        instance.metrics.active.add(1);
        Self(Rc::clone(instance))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get().saturating_sub(1));
        self.0.metrics.active.sub(1);
    }
}

/// Whether a connection that was used before will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// No: a new one.
    Never,
    /// Yes, unless the runtime has seen it closed: the request can be sent again.
    Likely,
    /// Yes, once the kernel was asked whether it is closed: the request cannot be sent again.
    Certain,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Unreachable {
    /// The instance that was tried last.
    pub(crate) address: String,
    /// What went wrong.
    pub(crate) error: io::Error,
    /// Whether it may be back soon.
    pub(crate) temporary: bool,
}

impl Lease {
    /// Keeps the connection for the next request, if there will be one.
    pub(crate) fn keep(self) {
        let mut idle = self.counted.0.idle.borrow_mut();
        if idle.len() < MAX_IDLE && !self.counted.0.drained.get() {
            idle.push((self.stream, Instant::now()));
        }
    }

    /// Whether the backend may have closed it while the request was on its way, so that it is
    /// unknown whether the request was read: TCP does not tell, a Unix socket always does.
    pub(crate) fn may_have_ended_before(&self) -> bool {
        self.reused && matches!(self.stream, Stream::Tcp(_))
    }

    /// The instance that it leads to.
    pub(crate) fn instance(&self) -> Rc<Instance> {
        Rc::clone(&self.counted.0)
    }

    /// The address, for messages.
    pub(crate) fn address(&self) -> String {
        self.counted.0.address.to_string()
    }
}

impl Backend {
    /// A backend with these instances, which appear in `metrics`.
    pub(crate) fn new(addresses: &[Address], metrics: &WorkerMetrics) -> Self {
        let instance = |address: &Address| {
            Rc::new(Instance {
                address: address.clone(),
                idle: RefCell::default(),
                active: Cell::new(0),
                down_until: Cell::new(None),
                drained: Cell::new(false),
                metrics: metrics.instance(address.clone()),
            })
        };
        Self { instances: addresses.iter().map(instance).collect(), next: Cell::new(0) }
    }

    /// Gives these instances no new requests while others serve, and closes their idle
    /// connections.
    pub(crate) fn drain(&self, drained: &Drained) {
        for instance in &self.instances {
            let now = drained.contains_key(&instance.address);
            instance.drained.set(now);
            instance.metrics.drained.set(now.into());
            if now {
                instance.idle.borrow_mut().clear();
            }
        }
    }

    /// Closes connections that have been idle for too long; returns whether any is left.
    pub(crate) fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut left = false;
        for instance in &self.instances {
            let mut idle = instance.idle.borrow_mut();
            idle.retain(|(_, since)| now < *since + IDLE_TIMEOUT);
            left |= !idle.is_empty();
        }
        left
    }

    /// An idle connection, as far as `reuse` allows; nothing when a new one is needed.
    pub(crate) fn lease_idle(&self, reuse: Reuse, metrics: &WorkerMetrics) -> Option<Lease> {
        let now = Instant::now();
        let turn = self.next.get();
        let lease = self.choose(now, None)?.reuse(reuse, now);
        match lease {
            Some(_) => metrics.upstream_reuses.add(1),
            // The new one is of the same instance.
            None => self.next.set(turn),
        }
        lease
    }

    /// An idle connection, as far as `reuse` allows, or a new one; to another instance than
    /// `failed` if there is one as good. `limit` bounds the wait for a backend that is busy
    /// or restarting.
    pub(crate) async fn lease(
        &self,
        reuse: Reuse,
        failed: Option<&Rc<Instance>>,
        limit: Duration,
        metrics: &WorkerMetrics,
    ) -> Result<Lease, Unreachable> {
        let begun = Instant::now();
        let mut now = begun;
        let mut tries = 0;
        loop {
            let Some(instance) = self.choose(now, failed) else {
                let error = io::Error::new(io::ErrorKind::NotFound, "no instance is configured");
                return Err(Unreachable { address: String::new(), error, temporary: false });
            };
            if let Some(lease) = instance.reuse(reuse, now) {
                metrics.upstream_reuses.add(1);
                return Ok(lease);
            }
            let counted = Counted::new(&instance);
            let error = match attempt(&instance.address).await {
                Ok(stream) => {
                    metrics.upstream_connects.add(1);
                    instance.down_until.set(None);
                    instance.metrics.down.set(0);
                    return Ok(Lease { stream, reused: false, counted });
                }
                Err(error) => error,
            };
            drop(counted);
            now = Instant::now();
            tries += 1;
            let remedy = remedy(&error);
            if remedy != Remedy::Soon {
                instance.down_until.set(Some(now + DOWN_FOR));
                instance.metrics.down.set(1);
                instance.metrics.failures.add(1);
            }
            if remedy == Remedy::GiveUp || now >= begun + limit {
                metrics.upstream_errors.add(1);
                let temporary = remedy != Remedy::GiveUp;
                return Err(Unreachable {
                    address: instance.address.to_string(),
                    error,
                    temporary,
                });
            }
            if tries >= self.instances.len() {
                let round = u32::try_from(tries / self.instances.len()).unwrap_or(u32::MAX);
                sleep(pause(remedy, round)).await;
            }
        }
    }

    /// The instance with the fewest connections among those not known to be
    /// drained or down, nor to have `failed` this request; ties go round. If there are
    /// only such, one of them: it may be back in time.
    fn choose(&self, now: Instant, failed: Option<&Rc<Instance>>) -> Option<Rc<Instance>> {
        if let [only] = &self.instances[..] {
            return Some(Rc::clone(only));
        }
        let count = self.instances.len();
        let start = self.next.get();
        self.next.set(start.wrapping_add(1));
        let rank = |instance: &&Rc<Instance>| {
            let down = instance.down_until.get().is_some_and(|until| now < until);
            let same = failed.is_some_and(|failed| Rc::ptr_eq(failed, instance));
            (instance.drained.get(), down, same, instance.active.get())
        };
        (0..count)
            .map(|offset| &self.instances[start.wrapping_add(offset) % count])
            .min_by_key(rank)
            .map(Rc::clone)
    }
}

impl Instance {
    /// The connection used last that is still open.
    fn reuse(self: &Rc<Self>, reuse: Reuse, now: Instant) -> Option<Lease> {
        let is_idle = match reuse {
            Reuse::Never => return None,
            Reuse::Likely => Stream::seems_idle,
            Reuse::Certain => Stream::is_idle,
        };
        loop {
            let (stream, since) = self.idle.borrow_mut().pop()?;
            if now < since + IDLE_TIMEOUT && is_idle(&stream) {
                return Some(Lease { stream, reused: true, counted: Counted::new(self) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(count: u16) -> Backend {
        let addresses: Vec<Address> =
            (0..count).map(|port| Address::Tcp(([127, 0, 0, 1], 9000 + port).into())).collect();
        Backend::new(&addresses, &WorkerMetrics::default())
    }

    #[test]
    fn the_least_busy_instance_is_chosen_and_ties_go_round() {
        let backend = backend(3);
        let held: Vec<Counted> = (0..6)
            .filter_map(|_| backend.choose(Instant::now(), None))
            .map(|instance| Counted::new(&instance))
            .collect();
        assert!(backend.instances.iter().all(|instance| instance.active.get() == 2));
        drop(held);
        let _busy = Counted::new(&backend.instances[0]);
        for _ in 0..4 {
            let chosen = backend.choose(Instant::now(), None).expect("an instance");
            assert_ne!(chosen.address, backend.instances[0].address);
        }
    }

    #[test]
    fn a_failed_instance_comes_last() {
        let backend = backend(2);
        backend.instances[0].down_until.set(Some(Instant::now() + DOWN_FOR));
        let _busy = Counted::new(&backend.instances[1]);
        for _ in 0..4 {
            let chosen = backend.choose(Instant::now(), None).expect("an instance");
            assert_eq!(chosen.address, backend.instances[1].address);
        }
    }
    #[test]
    fn a_drained_instance_gets_requests_only_when_all_are() {
        let backend = backend(2);
        let chosen = || backend.choose(Instant::now(), None).expect("an instance").address.clone();
        let [first, second] = [0, 1].map(|at| backend.instances[at].address.clone());
        let drained = |addresses: &[&Address]| -> Drained {
            addresses.iter().map(|&at| (at.clone(), "stopping".to_owned())).collect()
        };
        backend.drain(&drained(&[&first]));
        backend.instances[1].down_until.set(Some(Instant::now() + DOWN_FOR));
        let _busy = Counted::new(&backend.instances[1]);
        assert_eq!([(); 4].map(|()| chosen()), [(); 4].map(|()| second.clone()));
        backend.drain(&drained(&[&first, &second]));
        assert_eq!(chosen(), first);
        backend.drain(&Drained::new());
        assert_eq!(chosen(), first);
    }
    #[test]
    fn a_retry_prefers_another_instance() {
        let backend = backend(2);
        let [first, second] = [0, 1].map(|at| &backend.instances[at]);
        let chosen = || backend.choose(Instant::now(), Some(first)).expect("an instance");
        let _busy = Counted::new(second);
        assert!(Rc::ptr_eq(&chosen(), second));
        second.down_until.set(Some(Instant::now() + DOWN_FOR));
        assert!(Rc::ptr_eq(&chosen(), first));
    }
}
