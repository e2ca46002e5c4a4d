//! Drives two futures in one task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// See [`drive_with`]. A type of its own, since an async block would have room
    /// for both futures twice.
    #[derive(Debug)]
    pub(crate) struct DriveWith<M, H: Future, S, L> {
        #[pin]
        main: M,
        #[pin]
        helper: H,
        helped: Option<H::Output>,
        stop: S,
        leads: L,
    }
}

/// Drives `main` until it is done; returns nothing when `event` happens first.
pub(crate) async fn unless<M: Future>(
    main: M,
    event: impl Future<Output = ()>,
) -> Option<M::Output> {
    let (mut main, mut event) = (pin!(main), pin!(event));
    poll_fn(|context| match main.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => event.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// Drives `main` together with `helper` until `main` is done; returns the outcomes of both,
/// the helper's if it finished. When the helper finishes with an outcome for which `stop`
/// is true, `main` is not driven any further. While `leads` is true the helper is polled
/// before `main`, otherwise only while `main` has to wait.
pub(crate) fn drive_with<M, H, S, L>(main: M, helper: H, stop: S, leads: L) -> DriveWith<M, H, S, L>
where
    M: Future,
    H: Future,
    S: Fn(&H::Output) -> bool,
    L: Fn() -> bool,
{
    DriveWith { main, helper, helped: None, stop, leads }
}

impl<M, H, S, L> Future for DriveWith<M, H, S, L>
where
    M: Future,
    H: Future,
    S: Fn(&H::Output) -> bool,
    L: Fn() -> bool,
{
    type Output = (Option<M::Output>, Option<H::Output>);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let first = (this.leads)();
        if !first && let Poll::Ready(output) = this.main.as_mut().poll(context) {
            return Poll::Ready((Some(output), this.helped.take()));
        }
        if this.helped.is_none()
            && let Poll::Ready(output) = this.helper.poll(context)
        {
            if (this.stop)(&output) {
                return Poll::Ready((None, Some(output)));
            }
            *this.helped = Some(output);
        }
        if !first {
            return Poll::Pending;
        }
        this.main.poll(context).map(|output| (Some(output), this.helped.take()))
    }
}
