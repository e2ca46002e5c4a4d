//! Two halves of one exchange driven by one task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

/// Drives `helper` along until `main` is done; gives the outcome of both, the
/// helper's when it had one. Once `stop` says so of the helper's outcome, `main`
/// is not awaited any longer.
pub(crate) async fn alongside<M: Future, H: Future>(
    main: M,
    helper: H,
    stop: impl Fn(&H::Output) -> bool,
) -> (Option<M::Output>, Option<H::Output>) {
    let mut main = pin!(main);
    let mut helper = pin!(helper);
    let mut helped = None;
    poll_fn(move |context| {
        if helped.is_none()
            && let Poll::Ready(output) = Pin::new(&mut helper).poll(context)
        {
            if stop(&output) {
                return Poll::Ready((None, Some(output)));
            }
            helped = Some(output);
        }
        Pin::new(&mut main).poll(context).map(|output| (Some(output), helped.take()))
    })
    .await
}
