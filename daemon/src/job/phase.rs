//! How far a job is and what may follow: a pure machine.

use std::time::Duration;

use orgplane_proto::provisioner::v1::JobPhase;
use serde::{Deserialize, Serialize};

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing was changed.
    Preparing,
    /// Nothing was changed; the server was asked for the apply permit.
    Asking,
    /// Permitted: the engine may change things.
    Applying,
    /// The engine has ended.
    Finished,
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The plan is ready.
    Ask,
    /// The server permits the apply.
    Permit,
    /// The server, the clock or the operator wants the job to end.
    Stop(Cause),
    /// The engine has ended.
    Finish,
}

/// Why a job is to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    /// Somebody canceled it.
    Canceled,
    /// The server gave the lease away.
    LeaseLost,
    /// No contact for so long that the lease may be gone.
    ContactLost,
    /// It ran longer than it may.
    TimeLimit,
    /// This daemon is told to end.
    Shutdown,
    /// The key of this daemon is no longer good.
    KeyRevoked,
}

/// An event that can't happen in the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} can't follow in phase {phase:?}")]
pub(crate) struct InvalidTransition {
    phase: Phase,
    event: Event,
}

/// What an event leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing more.
    None,
    /// Send the apply request.
    AskServer,
    /// Interrupt the engine.
    Interrupt,
}

/// A job's phase, and why it was stopped if it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    phase: Phase,
    stopped: Option<Cause>,
    permitted: bool,
}

impl Machine {
    pub(crate) const fn new() -> Self {
        Self { phase: Phase::Preparing, stopped: None, permitted: false }
    }

    /// A job that an earlier daemon had.
    pub(crate) const fn adopted(permitted: bool) -> Self {
        let phase = if permitted { Phase::Applying } else { Phase::Preparing };
        Self { phase, stopped: None, permitted }
    }

    pub(crate) const fn phase(self) -> Phase {
        self.phase
    }

    /// Why the job was stopped; a lost lease overrides any other cause.
    pub(crate) const fn stopped(self) -> Option<Cause> {
        self.stopped
    }

    /// The engine may have changed things.
    pub(crate) const fn permitted(self) -> bool {
        self.permitted
    }

    /// The phase as the server knows it.
    pub(crate) const fn wire(self) -> JobPhase {
        match self.phase {
            Phase::Preparing | Phase::Asking => JobPhase::Preparing,
            Phase::Applying => JobPhase::Applying,
            Phase::Finished => JobPhase::Finished,
        }
    }

    /// From the interrupt to the kill, unless a cancel says otherwise.
    pub(crate) const fn grace(self, plan: Duration, apply: Duration) -> Duration {
        if self.permitted { apply } else { plan }
    }

    pub(crate) fn on(&mut self, event: Event) -> Result<Effect, InvalidTransition> {
        let effect = match (self.phase, event) {
            (Phase::Preparing, Event::Ask) if self.stopped.is_none() => {
                self.phase = Phase::Asking;
                Effect::AskServer
            }
            (Phase::Asking, Event::Permit) if self.stopped.is_none() => {
                self.phase = Phase::Applying;
                self.permitted = true;
                Effect::None
            }
            (Phase::Preparing | Phase::Asking | Phase::Applying, Event::Finish) => {
                self.phase = Phase::Finished;
                Effect::None
            }
            (phase, Event::Stop(cause)) => {
                let first = self.stopped.is_none();
                if first || cause == Cause::LeaseLost {
                    self.stopped = Some(cause);
                }
                if first && phase != Phase::Finished { Effect::Interrupt } else { Effect::None }
            }
            (Phase::Preparing | Phase::Asking | Phase::Applying | Phase::Finished, Event::Ask | Event::Permit)
            | (Phase::Finished, Event::Finish) => {
                return Err(InvalidTransition { phase: self.phase, event });
            }
        };
        Ok(effect)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_build_goes_through_all_phases() {
        let mut machine = Machine::new();
        assert_eq!(machine.wire(), JobPhase::Preparing);
        assert_eq!(machine.on(Event::Ask), Ok(Effect::AskServer));
        assert_eq!(machine.on(Event::Permit), Ok(Effect::None));
        assert_eq!(machine.wire(), JobPhase::Applying);
        assert_eq!(machine.on(Event::Stop(Cause::Canceled)), Ok(Effect::Interrupt));
        assert_eq!(machine.on(Event::Stop(Cause::Canceled)), Ok(Effect::None), "one interrupt only");
        assert_eq!(machine.on(Event::Finish), Ok(Effect::None));
        assert!(machine.permitted());
    }

    #[test]
    fn a_stopped_job_gets_no_permit() {
        let mut machine = Machine::new();
        machine.on(Event::Ask).unwrap();
        machine.on(Event::Stop(Cause::Canceled)).unwrap();
        assert!(machine.on(Event::Permit).is_err());
        machine.on(Event::Stop(Cause::LeaseLost)).unwrap();
        assert_eq!(machine.stopped(), Some(Cause::LeaseLost));
    }

    fn event() -> impl Strategy<Value = Event> {
        let cause = prop_oneof![
            Just(Cause::Canceled),
            Just(Cause::LeaseLost),
            Just(Cause::ContactLost),
            Just(Cause::TimeLimit),
            Just(Cause::Shutdown),
            Just(Cause::KeyRevoked)
        ];
        prop_oneof![Just(Event::Ask), Just(Event::Permit), cause.prop_map(Event::Stop), Just(Event::Finish)]
    }

    proptest! {
        #[test]
        fn nothing_is_applied_without_a_permit(events in proptest::collection::vec(event(), 0..12)) {
            let mut machine = Machine::new();
            let mut permits = 0;
            for event in events {
                let before = machine;
                match machine.on(event) {
                    Ok(_) => permits += i32::from(event == Event::Permit),
                    Err(_) => prop_assert_eq!(machine, before),
                }
                prop_assert!(machine.phase() != Phase::Applying || permits == 1);
                prop_assert!(before.phase() != Phase::Finished || machine.phase() == Phase::Finished);
            }
        }
    }
}
