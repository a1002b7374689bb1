//! What an error comes down to: its gRPC code and HTTP status hang on it.

use super::{Error, ProtocolFault};
use crate::domain::words::words;

words! {
    /// Why a call failed, in the terms of the contract: what of an [`Error`] is stored, and what its codes follow from.
    Reason {
        Invalid = "invalid",
        Unauthenticated = "unauthenticated",
        Denied = "denied",
        NotFound = "not_found",
        AlreadyExists = "already_exists",
        Conflict = "conflict",
        Gone = "gone",
        NotReady = "not_ready",
        TooEarly = "too_early",
        PreconditionFailed = "precondition_failed",
        NotEmpty = "not_empty",
        TooLarge = "too_large",
        LeaseLost = "lease_lost",
        Protocol = "protocol",
        RateLimited = "rate_limited",
        Unavailable = "unavailable",
        Internal = "internal",
        PreconditionRequired = "precondition_required",
    }
}

impl Error {
    /// Why the call failed.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_)
            | Self::DefaultOrganization
            | Self::AlreadyMember
            | Self::Oneself(_)
            | Self::JobActive
            | Self::TemplateInUse(_)
            | Self::OwnerSuspension
            | Self::JobEnded
            | Self::JobCanceling => Reason::Invalid,
            Self::Unauthenticated(_) => Reason::Unauthenticated,
            Self::Denied | Self::OwnDeletion | Self::VariablesUnknown | Self::ImportNotSucceeded(_) => Reason::Denied,
            Self::NotFound(_) | Self::NoFirstUser => Reason::NotFound,
            Self::AlreadyExists { .. } => Reason::AlreadyExists,
            Self::FirstUserExists
            | Self::LastOwner
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
            Self::OwnsWorkspaces(_) => Reason::NotEmpty,
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
