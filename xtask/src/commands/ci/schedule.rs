//! Which step may run next, as plain data: steps of one lane run one after the
//! other (cargo and npm lock their folders anyway), lanes of one stage run side by
//! side, and a stage begins when the one before is done.

/// What a step works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// cargo.
    Rust,
    /// The backend.
    Backend,
    /// The console.
    Console,
    /// The text of the repository.
    Text,
    /// The development loop, alone: it replaces programs that others run.
    Loop,
    /// Everything together.
    Whole,
    /// Making images, with what the lane beside it leaves of the processor.
    Image,
    /// Containers in Docker, alone.
    Docker,
}

impl Lane {
    fn stage(self) -> u8 {
        match self {
            Self::Rust | Self::Backend | Self::Console | Self::Text => 0,
            Self::Loop => 1,
            Self::Whole | Self::Image => 2,
            Self::Docker => 3,
        }
    }
}

/// What a worker should do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Run the step with this index.
    Run(usize),
    /// Ask again a little later.
    Wait,
    /// Nothing is left.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Done,
}

/// The state of all chosen steps.
pub(crate) struct Schedule {
    lanes: Vec<Lane>,
    states: Vec<State>,
}

impl Schedule {
    pub(crate) fn new(lanes: Vec<Lane>) -> Self {
        let states = vec![State::Waiting; lanes.len()];
        Self { lanes, states }
    }

    /// The next step, taken in the order of the table.
    pub(crate) fn next(&mut self) -> Next {
        let waiting = |index: &usize| self.states[*index] == State::Waiting;
        let running = |index: &usize| self.states[*index] == State::Running;
        let all = 0..self.lanes.len();
        if !all.clone().any(|index| waiting(&index)) {
            return Next::End;
        }
        let unfinished = |index: &usize| self.states[*index] != State::Done;
        let stage = all.clone().filter(unfinished).map(|index| self.lanes[index].stage()).min();
        let may_run = |index: &usize| {
            let lane = self.lanes[*index];
            let busy = all.clone().filter(running).any(|other| self.lanes[other] == lane);
            waiting(index) && !busy && Some(lane.stage()) == stage
        };
        match all.clone().find(may_run) {
            Some(index) => {
                self.states[index] = State::Running;
                Next::Run(index)
            }
            None => Next::Wait,
        }
    }

    pub(crate) fn done(&mut self, index: usize) {
        self.states[index] = State::Done;
    }

    /// Lets nothing more begin.
    pub(crate) fn stop(&mut self) {
        for state in &mut self.states {
            if *state == State::Waiting {
                *state = State::Done;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_run_side_by_side_and_stages_one_after_the_other() {
        let lanes = vec![Lane::Rust, Lane::Rust, Lane::Backend, Lane::Whole, Lane::Image];
        let mut schedule = Schedule::new(lanes);
        assert_eq!(schedule.next(), Next::Run(0));
        assert_eq!(schedule.next(), Next::Run(2));
        assert_eq!(schedule.next(), Next::Wait);
        schedule.done(0);
        assert_eq!(schedule.next(), Next::Run(1));
        schedule.done(2);
        assert_eq!(schedule.next(), Next::Wait);
        schedule.done(1);
        assert_eq!(schedule.next(), Next::Run(3));
        assert_eq!(schedule.next(), Next::Run(4));
        assert_eq!(schedule.next(), Next::End);
    }

    #[test]
    fn after_a_stop_nothing_begins() {
        let mut schedule = Schedule::new(vec![Lane::Rust, Lane::Whole]);
        assert_eq!(schedule.next(), Next::Run(0));
        schedule.stop();
        assert_eq!(schedule.next(), Next::End);
    }
}
