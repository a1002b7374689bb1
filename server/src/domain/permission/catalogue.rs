//! What permission is about, and what can be done to it: the words of roles, scopes and `authcheck`, as clients know them.

use crate::domain::words::words;

words! {
    /// What permission is about.
    Resource {
        Organization = "organization",
        OrganizationMember = "organization_member",
        AssignOrgRole = "assign_org_role": "The roles of an organization, and who has them.",
        AuditLog = "audit_log",
        ProvisionerDaemon = "provisioner_daemon": "The keys that daemons come in with.",
        ProvisionerJobs = "provisioner_jobs": "Jobs, and the daemons that run them.",
        File = "file",
        Template = "template",
        Workspace = "workspace",
        User = "user",
        AssignRole = "assign_role": "The roles of the site, and who has them.",
        ApiKey = "api_key": "Sessions and tokens of users.",
    }
}

words! {
    /// What is done to it.
    Action {
        Create = "create",
        Read = "read",
        Update = "update",
        Delete = "delete",
        Use = "use": "Make a workspace of a template.",
        Start = "start",
        Stop = "stop",
        Interrupt = "interrupt": "Cancel a build that runs. A word of ours.",
        Assign = "assign",
        Unassign = "unassign",
        ReadPersonal = "read_personal",
        UpdatePersonal = "update_personal": "Change a user's name or password.",
    }
}

impl Resource {
    /// Whether it is of an organization, so that roles of an organization can be about it.
    #[must_use]
    pub fn is_of_organization(self) -> bool {
        !matches!(self, Self::User | Self::AssignRole | Self::ApiKey)
    }
}
