//! What becomes of a job when something happens to it: a pure function without wildcard arms, so that a new state or event
//! has to be thought through everywhere.

use super::{Event, Lease, LeaseId, Outcome, Status};
use crate::domain::{Error, Timestamp};

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What everybody sees.
    pub status: Status,
    /// Leases given so far.
    pub attempt: i32,
    /// Leases that lapsed before anything could have been changed.
    pub losses: i32,
    /// The lease that it is under; once ended, the one whose result ended it.
    pub lease: Option<Lease>,
    /// The permitted lease that it was lost under: what its holder left is taken even now.
    pub lost: Option<LeaseId>,
}

/// What a transition doesn't know by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The time.
    pub now: Timestamp,
    /// How often a job may be lost before it isn't tried again.
    pub max_attempts: i32,
}

/// What else has to be done with it, where the new state alone doesn't say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It was lost and will be tried again: say so in the log.
    NoteRequeued,
    /// It was lost for good: say so in the log.
    NoteLost,
    /// It was lost when it was to stop, and so it has: say so in the log.
    NoteStopped,
    /// Nobody took it: say so in the log.
    NoteUntaken,
    /// The result was taken before: only confirm it.
    ConfirmAgain,
}

/// The event can't happen to a job in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidTransition {
    /// It has no lease or another one.
    #[error("the lease is lost")]
    LeaseLost,
    /// It has ended.
    #[error("the job has ended")]
    Ended,
    /// It is being canceled already.
    #[error("the job is being canceled")]
    Canceling,
    /// It isn't waiting.
    #[error("the job isn't waiting")]
    NotPending,
    /// What was permitted can't be given back.
    #[error("the job has been permitted to change things")]
    Permitted,
}

impl From<InvalidTransition> for Error {
    /// What somebody who wanted a job to stop is told.
    fn from(refusal: InvalidTransition) -> Self {
        match refusal {
            InvalidTransition::Canceling => Self::JobCanceling,
            InvalidTransition::Ended
            | InvalidTransition::LeaseLost
            | InvalidTransition::NotPending
            | InvalidTransition::Permitted => Self::JobEnded,
        }
    }
}

impl State {
    /// A job that was just made.
    pub const NEW: Self = Self { status: Status::Pending, attempt: 0, losses: 0, lease: None, lost: None };

    /// What it becomes, and what else has to be done.
    ///
    /// # Errors
    /// When the event can't happen to it; the state stays what it is.
    pub fn after(&self, event: &Event, rules: Rules) -> Result<(Self, Option<Effect>), InvalidTransition> {
        match event {
            Event::Claimed(lease) => self.claimed(lease),
            Event::Permitted(lease) => self.permitted(lease, rules),
            Event::CancelRequested => self.cancel_requested(),
            Event::ResultReported(lease, outcome) => self.result_reported(lease, *outcome),
            Event::Waived => self.waived(),
            Event::LeaseLapsed => self.lease_lapsed(rules),
            Event::Released => self.released(),
            Event::WaitedTooLong => self.waited_too_long(),
            Event::GaveBack(lease, _) => self.gave_back(lease),
        }
    }

    fn claimed(&self, lease: &LeaseId) -> Result<(Self, Option<Effect>), InvalidTransition> {
        match self.status {
            Status::Pending => {
                let lease = Some(Lease { id: lease.clone(), permitted_at: None });
                Ok((Self { status: Status::Running, attempt: self.attempt + 1, lease, ..self.clone() }, None))
            }
            Status::Running | Status::Canceling => Err(InvalidTransition::NotPending),
            Status::Succeeded | Status::Failed | Status::Canceled => Err(InvalidTransition::Ended),
        }
    }

    fn permitted(&self, lease: &LeaseId, rules: Rules) -> Result<(Self, Option<Effect>), InvalidTransition> {
        let held = self.held(lease)?;
        match self.status {
            // Asked again after an answer was lost: the first permit stands.
            Status::Running => {
                let permitted_at = Some(held.permitted_at.unwrap_or(rules.now));
                let lease = Some(Lease { id: held.id.clone(), permitted_at });
                Ok((Self { lease, ..self.clone() }, None))
            }
            Status::Canceling => Err(InvalidTransition::Canceling),
            Status::Pending => Err(InvalidTransition::LeaseLost),
            Status::Succeeded | Status::Failed | Status::Canceled => Err(InvalidTransition::Ended),
        }
    }

    fn cancel_requested(&self) -> Result<(Self, Option<Effect>), InvalidTransition> {
        match self.status {
            Status::Pending => Ok((Self { status: Status::Canceled, lease: None, ..self.clone() }, None)),
            Status::Running => Ok((Self { status: Status::Canceling, ..self.clone() }, None)),
            Status::Canceling => Err(InvalidTransition::Canceling),
            Status::Succeeded | Status::Failed | Status::Canceled => Err(InvalidTransition::Ended),
        }
    }

    fn waived(&self) -> Result<(Self, Option<Effect>), InvalidTransition> {
        match self.status {
            Status::Pending => Ok((Self { status: Status::Succeeded, lease: None, ..self.clone() }, None)),
            Status::Running | Status::Canceling => Err(InvalidTransition::NotPending),
            Status::Succeeded | Status::Failed | Status::Canceled => Err(InvalidTransition::Ended),
        }
    }

    fn result_reported(&self, lease: &LeaseId, outcome: Outcome) -> Result<(Self, Option<Effect>), InvalidTransition> {
        self.held(lease)?;
        match self.status {
            Status::Running | Status::Canceling => {
                let status = match outcome {
                    Outcome::Succeeded => Status::Succeeded,
                    Outcome::Failed | Outcome::Lost => Status::Failed,
                    Outcome::Canceled => Status::Canceled,
                };
                Ok((Self { status, ..self.clone() }, None))
            }
            Status::Succeeded | Status::Failed | Status::Canceled => Ok((self.clone(), Some(Effect::ConfirmAgain))),
            Status::Pending => Err(InvalidTransition::LeaseLost),
        }
    }

    fn lease_lapsed(&self, rules: Rules) -> Result<(Self, Option<Effect>), InvalidTransition> {
        let lost = self.permitted_lease();
        let losses = self.losses + 1;
        match self.status {
            Status::Running if lost.is_some() || losses >= rules.max_attempts => {
                Ok((Self { status: Status::Failed, losses, lost, lease: None, ..*self }, Some(Effect::NoteLost)))
            }
            Status::Running => {
                Ok((Self { status: Status::Pending, losses, lost, lease: None, ..*self }, Some(Effect::NoteRequeued)))
            }
            Status::Canceling if lost.is_some() => {
                Ok((Self { status: Status::Failed, losses, lost, lease: None, ..*self }, Some(Effect::NoteLost)))
            }
            // Nothing was changed, and it should stop: it has.
            Status::Canceling => {
                Ok((Self { status: Status::Canceled, losses, lost, lease: None, ..*self }, Some(Effect::NoteStopped)))
            }
            Status::Pending => Err(InvalidTransition::LeaseLost),
            Status::Succeeded | Status::Failed | Status::Canceled => Err(InvalidTransition::Ended),
        }
    }

    fn released(&self) -> Result<(Self, Option<Effect>), InvalidTransition> {
        match self.status {
            Status::Running | Status::Canceling => {
                let lost = self.permitted_lease();
                Ok((Self { status: Status::Failed, lost, lease: None, ..*self }, Some(Effect::NoteLost)))
            }
            Status::Pending => Err(InvalidTransition::LeaseLost),
            Status::Succeeded | Status::Failed | Status::Canceled => Err(InvalidTransition::Ended),
        }
    }

    fn waited_too_long(&self) -> Result<(Self, Option<Effect>), InvalidTransition> {
        match self.status {
            Status::Pending => {
                Ok((Self { status: Status::Failed, lease: None, ..self.clone() }, Some(Effect::NoteUntaken)))
            }
            Status::Running | Status::Canceling => Err(InvalidTransition::NotPending),
            Status::Succeeded | Status::Failed | Status::Canceled => Err(InvalidTransition::Ended),
        }
    }

    fn permitted_lease(&self) -> Option<LeaseId> {
        self.lease.as_ref().filter(|lease| lease.permitted_at.is_some()).map(|lease| lease.id.clone())
    }

    fn gave_back(&self, lease: &LeaseId) -> Result<(Self, Option<Effect>), InvalidTransition> {
        let held = self.held(lease)?;
        match self.status {
            Status::Running | Status::Canceling if held.permitted_at.is_some() => Err(InvalidTransition::Permitted),
            Status::Running => Ok((Self { status: Status::Pending, lease: None, ..self.clone() }, None)),
            Status::Canceling => Ok((Self { status: Status::Canceled, lease: None, ..self.clone() }, None)),
            Status::Pending => Err(InvalidTransition::LeaseLost),
            Status::Succeeded | Status::Failed | Status::Canceled => Err(InvalidTransition::Ended),
        }
    }

    fn held(&self, lease: &LeaseId) -> Result<&Lease, InvalidTransition> {
        self.lease.as_ref().filter(|held| held.id == *lease).ok_or(InvalidTransition::LeaseLost)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::job::Rejection;

    const RULES: Rules = Rules { now: Timestamp(1), max_attempts: 3 };

    fn lease(n: u8) -> LeaseId {
        LeaseId(n.to_string())
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let outcome =
            prop_oneof![Just(Outcome::Succeeded), Just(Outcome::Failed), Just(Outcome::Canceled), Just(Outcome::Lost)];
        let id = || (0..3u8).prop_map(lease);
        prop_oneof![
            id().prop_map(Event::Claimed),
            id().prop_map(Event::Permitted),
            Just(Event::CancelRequested),
            (id(), outcome).prop_map(|(id, outcome)| Event::ResultReported(id, outcome)),
            Just(Event::LeaseLapsed),
            Just(Event::Released),
            Just(Event::WaitedTooLong),
            Just(Event::Waived),
            id().prop_map(|id| Event::GaveBack(id, Rejection::Full)),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_the_rules_hold(events in proptest::collection::vec(any_event(), 0..60)) {
            let mut state = State::NEW;
            let mut permitted = false;
            for event in events {
                let Ok((next, effect)) = state.after(&event, RULES) else { continue };
                if state.status.is_ended() {
                    prop_assert_eq!(&next, &state, "an end is final");
                    prop_assert_eq!(effect, Some(Effect::ConfirmAgain));
                }
                if next.status.is_leased() {
                    prop_assert!(next.lease.is_some(), "who has it has a lease");
                }
                if next.status == Status::Pending {
                    prop_assert!(next.lease.is_none());
                    prop_assert!(!permitted, "what may have changed things isn't run again");
                }
                permitted |= next.lease.as_ref().is_some_and(|lease| lease.permitted_at.is_some());
                if let Some(lost) = &next.lost {
                    prop_assert_eq!((next.status, &next.lease), (Status::Failed, &None), "it isn't run again");
                    prop_assert!(permitted && state.held(lost).is_ok() || state.lost == next.lost);
                }
                prop_assert!(next.losses <= RULES.max_attempts);
                prop_assert!(next.attempt >= state.attempt);
                state = next;
            }
        }
    }

    #[test]
    fn giving_back_costs_no_attempt_and_losing_does() {
        let mut state = State::NEW;
        for n in 0..10 {
            state = state.after(&Event::Claimed(lease(n)), RULES).unwrap().0;
            state = state.after(&Event::GaveBack(lease(n), Rejection::Full), RULES).unwrap().0;
        }
        assert_eq!((state.status, state.attempt, state.losses), (Status::Pending, 10, 0));
        for _ in 0..3 {
            state = state.after(&Event::Claimed(lease(0)), RULES).unwrap().0;
            state = state.after(&Event::LeaseLapsed, RULES).unwrap().0;
        }
        assert_eq!((state.status, state.losses), (Status::Failed, 3));
    }

    #[test]
    fn the_outcome_decides_even_when_canceling() {
        let running = State::NEW.after(&Event::Claimed(lease(1)), RULES).unwrap().0;
        let canceling = running.after(&Event::CancelRequested, RULES).unwrap().0;
        assert_eq!(canceling.after(&Event::Permitted(lease(1)), RULES), Err(InvalidTransition::Canceling));
        let ended = canceling.after(&Event::ResultReported(lease(1), Outcome::Succeeded), RULES).unwrap().0;
        assert_eq!(ended.status, Status::Succeeded);
        let stale = Event::ResultReported(lease(2), Outcome::Failed);
        assert_eq!(ended.after(&stale, RULES), Err(InvalidTransition::LeaseLost));
    }
}
