//! One timer for a whole connection. Moving the deadline costs a store: the clock is read
//! only once there is something to wait for, and the timer fires at most once too early and
//! is then set to the current deadline.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// What a connection is waiting for; decides whose fault it is when the deadline expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The next request of an open connection.
    Idle,
    /// The rest of a request head.
    Head,
    /// More of a request's content.
    Content,
    /// Room to send to the client.
    Send,
    /// The backend.
    Backend,
    /// Traffic in a tunnel.
    Tunnel,
}

/// The deadline expired in this phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired(pub(crate) Phase);

/// When the deadline expires.
#[derive(Debug, Clone, Copy)]
enum When {
    /// This long after the first wait.
    After(Duration),
    /// At this moment.
    At(Instant),
}

/// The deadline of a connection.
#[derive(Debug)]
pub(crate) struct Deadline {
    when: Cell<When>,
    phase: Cell<Phase>,
    timer: RefCell<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// A deadline `after` from now.
    pub(crate) fn new(phase: Phase, after: Duration) -> Self {
        let at = Instant::now() + after;
        Self {
            when: Cell::new(When::At(at)),
            phase: Cell::new(phase),
            timer: RefCell::new(Box::pin(sleep_until(at))),
        }
    }

    /// Moves the deadline: `after` from the first wait.
    pub(crate) fn set(&self, phase: Phase, after: Duration) {
        self.phase.set(phase);
        self.when.set(When::After(after));
    }

    fn at(&self) -> Instant {
        match self.when.get() {
            When::At(at) => at,
            When::After(after) => {
                let at = Instant::now() + after;
                self.when.set(When::At(at));
                at
            }
        }
    }

    /// Drives `future` until it is done or the deadline expires.
    pub(crate) fn limit<F: Future>(&self, future: F) -> Limit<'_, F> {
        Limit { deadline: self, future }
    }

    fn poll_expired(&self, context: &mut Context<'_>) -> Poll<Expired> {
        let mut timer = self.timer.borrow_mut();
        loop {
            let at = self.at();
            if timer.deadline() > at {
                timer.as_mut().reset(at);
            }
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= at {
                return Poll::Ready(Expired(self.phase.get()));
            }
            timer.as_mut().reset(at);
        }
    }
}

pin_project! {
    /// A future with a deadline. A type of its own, since an async block would
    /// have room for the future twice.
    #[derive(Debug)]
    pub(crate) struct Limit<'d, F> {
        deadline: &'d Deadline,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Limit<'_, F> {
    type Output = Result<F::Output, Expired>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => this.deadline.poll_expired(context).map(Err),
        }
    }
}
