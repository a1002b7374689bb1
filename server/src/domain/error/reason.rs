//! What an error comes down to: its gRPC code and HTTP status hang on it.

use super::{Error, ProtocolFault};

/// Why a call failed, in the terms of the contract: what of an [`Error`] is stored, and what its codes follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Reason {
    Invalid,
    Unauthenticated,
    Denied,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    NotReady,
    TooEarly,
    PreconditionFailed,
    TooLarge,
    LeaseLost,
    Protocol,
    RateLimited,
    Unavailable,
    Internal,
    PreconditionRequired,
}

impl Error {
    /// Why the call failed.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_)
            | Self::DefaultOrganization
            | Self::AlreadyMember
            | Self::JobActive
            | Self::TemplateInUse(_)
            | Self::JobEnded
            | Self::JobCanceling => Reason::Invalid,
            Self::Unauthenticated(_) => Reason::Unauthenticated,
            Self::Denied | Self::VariablesUnknown | Self::ImportNotSucceeded(_) => Reason::Denied,
            Self::NotFound(_) | Self::NoFirstUser => Reason::NotFound,
            Self::AlreadyExists { .. } => Reason::AlreadyExists,
            Self::FirstUserExists
            | Self::OrganizationNotEmpty(_)
            | Self::BuildActive(_)
            | Self::WorkspaceHeld { .. }
            | Self::NotReleasable(_)
            | Self::WorkspaceDeleted
            | Self::TooManyKeys(_) => Reason::Conflict,
            Self::WorkspaceGone => Reason::Gone,
            Self::ImportUnfinished => Reason::NotReady,
            Self::TooEarly => Reason::TooEarly,
            Self::StatusMismatch { .. } => Reason::PreconditionFailed,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::LeaseLost(_) => Reason::LeaseLost,
            // Neither breaks the protocol: the operator named another organization, or a name that is taken for now.
            Self::Protocol(ProtocolFault::WrongOrganization(_)) => Reason::Conflict,
            Self::Protocol(ProtocolFault::NameInUse(_)) => Reason::AlreadyExists,
            Self::Protocol(_) => Reason::Protocol,
            Self::Busy | Self::Crowded | Self::TooMany { .. } | Self::TooFast { .. } | Self::SlowReader => {
                Reason::RateLimited
            }
            Self::BypassDenied => Reason::PreconditionRequired,
            Self::Unavailable(_) | Self::Stopping => Reason::Unavailable,
            Self::Internal(_) => Reason::Internal,
        }
    }
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Denied,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Conflict,
        Self::Gone,
        Self::NotReady,
        Self::TooEarly,
        Self::PreconditionFailed,
        Self::TooLarge,
        Self::LeaseLost,
        Self::Protocol,
        Self::RateLimited,
        Self::Unavailable,
        Self::Internal,
        Self::PreconditionRequired,
    ];

    /// As it is stored.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::NotReady => "not_ready",
            Self::TooEarly => "too_early",
            Self::PreconditionFailed => "precondition_failed",
            Self::TooLarge => "too_large",
            Self::LeaseLost => "lease_lost",
            Self::Protocol => "protocol",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::PreconditionRequired => "precondition_required",
        }
    }

    /// The one that is stored so.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.text() == text)
    }
}
