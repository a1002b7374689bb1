//! Jobs: the work that daemons do.

mod event;
mod handout;
mod lease;
mod log;
mod result;
mod standing;
mod state;

use sea_orm::{DeriveActiveEnum, EnumIter};

use super::id::{BuildId, TemplateVersionId};

pub use event::{Event, Outcome, Rejection};
pub use handout::{
    CancelOutcome, Claimed, Finished, Fits, Grip, Group, Hold, Live, Permit, Reaped, Resumed, Slot, Terms,
    given_back_text, lost_text, released_text, requeued_text, stopped_text, untaken_text,
};
pub use lease::{Lease, LeaseId};
pub use log::{Gap, LogBatch, LogLevel, LogLine, LogSource, LogStanding};
pub use result::{Discovery, Report, Resource, ResourceMetadata, StateReference, Succession, Timing, Variable};
pub use standing::{Lines, Standing, Taker, lines};
pub use state::{Effect, InvalidTransition, Rules, State};

/// What a job is doing, as everybody sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    /// It waits for a daemon.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// A daemon has it.
    #[sea_orm(string_value = "running")]
    Running,
    /// A daemon has it and was asked to stop.
    #[sea_orm(string_value = "canceling")]
    Canceling,
    /// It ended as it should.
    #[sea_orm(string_value = "succeeded")]
    Succeeded,
    /// It ended otherwise.
    #[sea_orm(string_value = "failed")]
    Failed,
    /// It was stopped because somebody asked for it.
    #[sea_orm(string_value = "canceled")]
    Canceled,
}

impl Status {
    /// Its name.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        use sea_orm::Iterable as _;
        Self::iter().find(|status| status.text() == name)
    }

    /// It hasn't ended.
    #[must_use]
    pub fn is_active(self) -> bool {
        !self.is_ended()
    }

    /// A daemon has it.
    #[must_use]
    pub fn is_leased(self) -> bool {
        match self {
            Self::Running | Self::Canceling => true,
            Self::Pending | Self::Succeeded | Self::Failed | Self::Canceled => false,
        }
    }

    /// It has ended for good.
    #[must_use]
    pub fn is_ended(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Canceled => true,
            Self::Pending | Self::Running | Self::Canceling => false,
        }
    }
}

/// What kind of work a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum JobType {
    /// Reads a template and plans it.
    #[sea_orm(string_value = "template_version_import")]
    Import,
    /// Plans a template with given values.
    #[sea_orm(string_value = "template_version_dry_run")]
    DryRun,
    /// Takes a workspace through a transition.
    #[sea_orm(string_value = "workspace_build")]
    Build,
}

/// What a job works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// The version that is imported.
    Import(TemplateVersionId),
    /// The version that is planned.
    DryRun(TemplateVersionId),
    /// The build that is done.
    Build(BuildId),
}

impl Input {
    /// The kind of work.
    #[must_use]
    pub fn job_type(self) -> JobType {
        match self {
            Self::Import(_) => JobType::Import,
            Self::DryRun(_) => JobType::DryRun,
            Self::Build(_) => JobType::Build,
        }
    }
}

/// Why a job failed, where clients act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum ErrorCode {
    /// Nothing that they act on.
    #[sea_orm(string_value = "none")]
    None,
    /// Variables of the template have no value.
    #[sea_orm(string_value = "required_template_variables")]
    RequiredTemplateVariables,
    /// The plan costs more than the user may spend.
    #[sea_orm(string_value = "insufficient_quota")]
    InsufficientQuota,
}

#[cfg(test)]
mod tests {
    use sea_orm::{ActiveEnum as _, Iterable as _};

    use super::*;

    #[test]
    fn names_and_columns_agree() {
        for status in Status::iter() {
            assert_eq!(Status::parse(status.text()), Some(status));
            assert_eq!(status.to_value(), status.text());
        }
    }
}
