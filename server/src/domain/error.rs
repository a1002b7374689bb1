//! Everything that can go wrong in a call, as facts. What clients read of it is the `Display` text; which gRPC code and
//! HTTP status it becomes is decided in one place, `grpc/status.rs`.

mod reason;

pub use reason::Reason;

use std::time::Duration;

use super::Timestamp;
use super::id::{DaemonId, JobId};
use super::job::Status;

/// The result of a rule or a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One rule that one member of a request breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The member's name as the client wrote it.
    pub field: String,
    /// The rule, as a phrase that says how to satisfy it.
    pub rule: String,
}

impl Violation {
    /// A violation of `rule` by `field`.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }
}

/// What a client is told about an object that it named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Organization,
    User,
    Member,
    Role,
    ProvisionerKey,
    Daemon,
    Job,
    File,
    Template,
    TemplateVersion,
    Workspace,
    Build,
    ApiKey,
}

impl Kind {
    /// The kind in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::User => "user",
            Self::Member => "member",
            Self::Role => "role",
            Self::ProvisionerKey => "provisioner key",
            Self::Daemon => "provisioner daemon",
            Self::Job => "provisioner job",
            Self::File => "file",
            Self::Template => "template",
            Self::TemplateVersion => "template version",
            Self::Workspace => "workspace",
            Self::Build => "workspace build",
            Self::ApiKey => "token",
        }
    }
}

/// What is wrong with a caller's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The call carries none.
    Missing,
    /// A token that can't be one.
    Malformed,
    /// A token that nobody has, any more or ever.
    Unknown,
    /// A session or token past its end.
    Expired,
    /// The user may not sign in now.
    Suspended,
    /// No user has this address and password.
    Password,
    /// A daemon's call carries no key.
    KeyMissing,
    /// Not a provisioner key: prefix, length or checksum is wrong.
    KeyMalformed,
    /// A provisioner key that doesn't exist, any more or ever.
    KeyUnknown,
    /// A provisioner key that was revoked or has expired.
    KeyRevoked,
}

impl Credential {
    fn text(self) -> &'static str {
        match self {
            Self::Missing => "You are signed out: the call carries no session token. Sign in to continue.",
            Self::Malformed => "You are signed out: the session token is malformed. Sign in to continue.",
            Self::Unknown => "You are signed out: the session token isn't known. Sign in to continue.",
            Self::Expired => "You are signed out: the session has expired. Sign in to continue.",
            Self::Suspended => "This account is suspended. Ask an administrator to activate it.",
            Self::Password => "Incorrect email or password.",
            Self::KeyMissing => "The call carries no provisioner key.",
            Self::KeyMalformed => {
                "The provisioner key is malformed: it must be `orgp_` and 49 characters, all exactly as they were shown."
            }
            Self::KeyUnknown => "The provisioner key doesn't exist: it was deleted, or it is of another deployment.",
            Self::KeyRevoked => "The provisioner key was revoked or has expired.",
        }
    }
}

/// What stands in an organization that should be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leftovers {
    /// Live workspaces.
    pub workspaces: u64,
    /// Live templates.
    pub templates: u64,
    /// Members but one.
    pub members: u64,
    /// Provisioner keys.
    pub provisioner_keys: u64,
    /// Jobs that haven't ended.
    pub jobs: u64,
}

impl Leftovers {
    /// Nothing is in the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Leftovers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} workspaces, {} templates, {} members, {} provisioner keys, {} active jobs",
            self.workspaces, self.templates, self.members, self.provisioner_keys, self.jobs
        )
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Members of the request break rules.
    #[error("The request is invalid.")]
    Invalid(Vec<Violation>),
    /// The caller isn't who it must be.
    #[error("{}", .0.text())]
    Unauthenticated(Credential),
    /// The caller may see the object but not do this.
    #[error("You don't have permission to do this.")]
    Denied,
    /// Nothing there, or nothing that the caller may see; the two are told alike.
    #[error("Resource not found or you do not have access to this resource.")]
    NotFound(Kind),
    /// The name is taken.
    #[error("The {field} {name:?} is already in use by another {}.", .kind.text())]
    AlreadyExists {
        /// Of what there is one already.
        kind: Kind,
        /// The name, as the client wrote it.
        name: String,
        /// The request's member that holds the name.
        field: &'static str,
    },
    /// The deployment has its first user.
    #[error("The first user has already been created.")]
    FirstUserExists,
    /// There is no user yet.
    #[error("The first user has not been created yet.")]
    NoFirstUser,
    /// Nobody deletes themselves.
    #[error("You can't delete your own account.")]
    OwnDeletion,
    /// An owner is kept out only after they aren't one any more.
    #[error("Owners can't be suspended; take the role away first.")]
    OwnerSuspension,
    /// The site needs an owner.
    #[error("This is the last active owner; give the role to somebody else first.")]
    LastOwner,
    /// What a user owns would be nobody's.
    #[error("The user can't be deleted: they own {0} workspaces; delete those first.")]
    OwnsWorkspaces(u64),
    /// The default organization can't be deleted.
    #[error("The default organization can't be deleted.")]
    DefaultOrganization,
    /// The organization isn't empty.
    #[error("The organization isn't empty; delete what it holds first: {0}.")]
    OrganizationNotEmpty(Leftovers),
    /// The user is a member already.
    #[error("The user is already a member of this organization.")]
    AlreadyMember,
    /// Nobody does this to themselves, lest they lock themselves out or let themselves in.
    #[error("You can't {0}; somebody else has to.")]
    Oneself(&'static str),
    /// A build can't be queued while another is active; where it is known, what the other's job is doing.
    #[error("A build of this workspace is already active{}.", .0.map_or(String::new(), |status| format!(": its job is {}", status.text())))]
    BuildActive(Option<Status>),
    /// A build can't be queued while another may be changing the workspace's resources, out of contact.
    #[error(
        "The workspace is held until {until}: its last build may be changing resources, but nothing was heard of its \
         provisioner daemon {worker:?} since {since}. Wait, or let an administrator release the provisioner job {job}."
    )]
    WorkspaceHeld {
        /// The build's job.
        job: JobId,
        /// The daemon's name.
        worker: String,
        /// When it was heard of last.
        since: Timestamp,
        /// When the job is given up.
        until: Timestamp,
    },
    /// Only a job whose daemon is out of contact can be released.
    #[error("The job can't be released: {0}. Cancel it instead.")]
    NotReleasable(&'static str),
    /// The workspace was deleted, and this needs a live one.
    #[error("The workspace is deleted.")]
    WorkspaceDeleted,
    /// A workspace that is gone was asked for.
    #[error("The workspace is gone: it was deleted.")]
    WorkspaceGone,
    /// The import of the version hasn't ended.
    #[error("The template version is still being imported.")]
    ImportUnfinished,
    /// The import of the version hasn't ended, and what was asked for can be had as soon as it has.
    #[error("The template version is still being imported; try again when its import has ended.")]
    TooEarly,
    /// What the job leaves can't be told before it has ended.
    #[error("The job hasn't ended yet.")]
    JobActive,
    /// A version whose import failed, was canceled or goes on can't be used.
    #[error("The template version's import hasn't succeeded: it is {}.", .0.text())]
    ImportNotSucceeded(Status),
    /// Live workspaces are made from the template.
    #[error("The template can't be deleted: {0} workspaces are made from it; delete them first.")]
    TemplateInUse(u64),
    /// The variables can't be told before the import has ended.
    #[error("The template version's variables aren't known until its import ends.")]
    VariablesUnknown,
    /// The job has ended.
    #[error("The job has already ended.")]
    JobEnded,
    /// The job is being canceled.
    #[error("The job is already being canceled.")]
    JobCanceling,
    /// The job isn't in the status that the caller wants it in.
    #[error("The job is {actual}, not {expected}.")]
    StatusMismatch {
        /// What the caller asked for.
        expected: &'static str,
        /// What it is.
        actual: &'static str,
    },
    /// More bytes or entries than the server takes.
    #[error("{what} is over the limit of {limit}.")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// In words, with its unit.
        limit: &'static str,
    },
    /// The sender doesn't hold the job any more.
    #[error("The lease of job {0} is lost.")]
    LeaseLost(JobId),
    /// A daemon broke the protocol of its stream.
    #[error("{0}")]
    Protocol(ProtocolFault),
    /// Too many calls at once want what takes long.
    #[error("The server is busy with other sign-ins; try again in a moment.")]
    Busy,
    /// More streams than the server has room for.
    #[error("The server has too many open streams; try again in a moment.")]
    Crowded,
    /// The caller has as many of these open as one user may.
    #[error("You have {limit} {what} at a time already, which is the limit; try again when one has ended.")]
    TooMany {
        /// In words, more than one.
        what: &'static str,
        /// How many one user may have.
        limit: usize,
    },
    /// The caller has as many sessions and tokens as one user may.
    #[error("The user has {0} sessions and tokens already, which is the limit; delete some that aren't needed.")]
    TooManyKeys(u64),
    /// The caller calls too often.
    #[error("Too many {what}; try again in {} seconds.", wait.as_secs() + u64::from(wait.subsec_nanos() > 0))]
    TooFast {
        /// In words, more than one.
        what: &'static str,
        /// How long to wait.
        wait: Duration,
    },
    /// Somebody else than an owner of the site asks to pass the limits.
    #[error("Only owners of the site may bypass the limits on how often something is called.")]
    BypassDenied,
    /// A stream's reader took nothing for too long.
    #[error("The stream was cut off: its reader was too slow. Go on where it ended.")]
    SlowReader,
    /// The server ends; another, or the same after a restart, goes on.
    #[error("The server is stopping; connect again.")]
    Stopping,
    /// The database or another part is away.
    #[error("The server can't reach its database; try again.")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A fault of the server.
    #[error("An internal error occurred; the server's log tells more under the request id.")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// One broken rule.
    pub fn invalid(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation::new(field, rule)])
    }

    /// A fault of the server, told in words.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}

/// How a daemon broke the protocol of its stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolFault {
    /// The first message must be Register.
    #[error("the first message must be Register")]
    NotRegistered,
    /// Register comes once.
    #[error("Register may be sent only once")]
    RegisteredTwice,
    /// A message without content, or of a newer protocol.
    #[error("a message without known content")]
    Empty,
    /// A message that can't be read, or is too large.
    #[error("a message can't be read: {0}")]
    Unreadable(String),
    /// A member that can't be.
    #[error("{field}: {rule}")]
    Field {
        /// The member, by its proto name.
        field: &'static str,
        /// The rule that it breaks.
        rule: String,
    },
    /// The daemon speaks another protocol.
    #[error("the daemon speaks protocol {daemon}, the server {server}; use a daemon that isn't newer than the server")]
    Version {
        /// The daemon's version.
        daemon: String,
        /// The server's version.
        server: &'static str,
    },
    /// The key is of another organization than the operator expects.
    #[error("the key isn't of organization {0:?}")]
    WrongOrganization(String),
    /// A job that isn't the sender's.
    #[error("job {0} isn't this daemon's")]
    ForeignJob(JobId),
    /// Another daemon that is connected now has the name.
    #[error("another daemon named {0:?} is connected; give each daemon a name of its own")]
    NameInUse(String),
    /// A log line is missing between what is stored and what came.
    #[error("log of job {job}: expected line {expected}, got {got}")]
    LogGap {
        /// The job.
        job: JobId,
        /// The next number.
        expected: i64,
        /// The number that came.
        got: i64,
    },
    /// A result that names lines which aren't stored.
    #[error("result of job {job} names log line {named}, stored are {stored}")]
    ResultBeforeLogs {
        /// The job.
        job: JobId,
        /// The result's last line.
        named: i64,
        /// The last stored line.
        stored: i64,
    },
    /// A reference to bytes that the job didn't upload.
    #[error("job {0} refers to bytes that it didn't upload")]
    MissingBytes(JobId),
    /// A state that is older than the stored one, or of another lineage.
    #[error("state of job {0} is older than the stored one or of another lineage")]
    StaleState(JobId),
    /// Uploaded bytes that aren't what the header said.
    #[error("uploaded bytes don't match their SHA-256 or size")]
    Digest,
    /// The session was taken over.
    #[error("daemon {0} opened another session")]
    Superseded(DaemonId),
}

/// An error with all that caused it, for logs: the text of an [`Error`] is for clients, who see no causes.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.truncate(text.trim_end_matches('.').len());
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_tells_what_the_text_for_clients_does_not() {
        let away = Error::Unavailable(std::io::Error::other("connection refused").into());
        assert_eq!(chain(&away), "The server can't reach its database; try again: connection refused");
        assert_eq!(chain(&Error::Busy), Error::Busy.to_string());
    }
}
