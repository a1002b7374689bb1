//! Which of the published features this program has. Clients go by it, so none is claimed without a test that shows it.

/// Every published feature, with the test that proves it: `tests/it/FILE::FUNCTION`. A feature without one is told as not
/// enabled, whatever there may be of it.
pub const FEATURES: &[(&str, Option<&str>)] = &[
    ("access_control", None),
    ("advanced_template_scheduling", None),
    ("ai_governance_user_limit", None),
    ("aibridge", None),
    ("appearance", None),
    ("audit_log", Some("tests/it/audit.rs::each_change_leaves_one_entry")),
    ("boundary", None),
    ("browser_only", None),
    ("connection_log", None),
    ("control_shared_ports", None),
    ("custom_roles", Some("tests/it/members.rs::roles_are_made_given_and_taken")),
    ("external_provisioner_daemons", Some("tests/it/daemon.rs::a_daemon_of_another_organization_never_gets_the_job")),
    ("external_token_encryption", None),
    ("high_availability", None),
    ("managed_agent_limit", None),
    ("multiple_external_auth", None),
    ("multiple_organizations", Some("tests/it/organizations.rs::the_five_verbs")),
    ("scim", None),
    ("service_accounts", None),
    ("task_batch_actions", None),
    ("template_rbac", None),
    ("user_limit", None),
    ("user_role_management", None),
    ("workspace_batch_actions", None),
    ("workspace_external_agent", None),
    ("workspace_prebuilds", None),
    ("workspace_proxy", None),
];
