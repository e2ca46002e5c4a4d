//! Follows santa-supervise and tells the workers which instances of the backend get no new
//! requests.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::supervisor_client::{Events, instance_states};
use crate::control_state::ControlState;
use crate::log::sink::{Level, Sink};
use crate::upstream::membership::{InstanceState, drained};

/// How often the states are requested while no event arrives.
const REFRESH: Duration = Duration::from_secs(10);
/// How long after a failure santa-supervise is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Follows the states as long as there are workers.
pub(super) async fn follow(
    control_socket: PathBuf,
    control: watch::Sender<ControlState>,
    sink: Sink,
) {
    let mut several = control.subscribe();
    while several.wait_for(|control| !control.snapshot.supervised.is_empty()).await.is_ok() {
        if let Ok(events) = Events::subscribe(&control_socket).await {
            while let Ok(states) = instance_states(&control_socket).await {
                apply(&control, &states, &sink);
                if let Ok(Err(_)) = timeout(REFRESH, events.next()).await {
                    break;
                }
            }
            // Without states, all instances are tried, those that fail last.
            apply(&control, &[], &sink);
        }
        sleep(RETRY).await;
    }
}

/// Tells the workers and the log what has changed.
fn apply(control: &watch::Sender<ControlState>, states: &[InstanceState], sink: &Sink) {
    let (now, before) = {
        let control = control.borrow();
        (drained(&control.snapshot.supervised, states), Arc::clone(&control.drained))
    };
    if now == *before {
        return;
    }
    for (address, state) in now.iter().filter(|(address, _)| !before.contains_key(address)) {
        let fields = [("address", &*address.to_string()), ("state", state)];
        sink.log(Level::Info, "backend instance drained: no new requests", &fields);
    }
    for address in before.keys().filter(|address| !now.contains_key(address)) {
        let fields = [("address", &*address.to_string())];
        sink.log(Level::Info, "backend instance back in service", &fields);
    }
    control.send_modify(|control| control.drained = Arc::new(now));
}
