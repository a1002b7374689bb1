//! What templates see of the daemon's environment, and what they are told about the job.

use std::collections::BTreeMap;
use std::ffi::OsString;

use orgplane_proto::provisioner::v1::JobMetadata;

/// The daemon's environment without its own settings, and without what would make Terraform keep its state or plans
/// elsewhere or change its command lines; then what is added.
pub(crate) fn base(
    host: impl Iterator<Item = (OsString, OsString)>,
    added: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = host
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !is_hidden(name))
        .collect();
    for (name, value) in [("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "1")] {
        env.insert(name.to_owned(), value.to_owned());
    }
    env.extend(added.iter().map(|(name, value)| (name.clone(), value.clone())));
    env
}

fn is_hidden(name: &str) -> bool {
    let changes_terraform =
        matches!(name, "TF_WORKSPACE" | "TF_DATA_DIR" | "TF_LOG_PATH") || name.starts_with("TF_CLI_ARGS");
    changes_terraform || name.starts_with("CODER_") || name.starts_with("ORGPLANE_")
}

/// What a template may read about the job, under the names that existing templates use.
pub(crate) fn job(metadata: &JobMetadata, transition: &str, server_url: &str) -> BTreeMap<String, String> {
    let url = if metadata.server_url.is_empty() { server_url } else { &metadata.server_url };
    let m = metadata;
    let pairs = [
        ("CODER_AGENT_URL", url),
        ("CODER_WORKSPACE_TRANSITION", transition),
        ("CODER_WORKSPACE_NAME", &m.workspace_name),
        ("CODER_WORKSPACE_ID", &m.workspace_id),
        ("CODER_WORKSPACE_OWNER", &m.owner_name),
        ("CODER_WORKSPACE_OWNER_ID", &m.owner_id),
        ("CODER_WORKSPACE_OWNER_NAME", &m.owner_name),
        ("CODER_WORKSPACE_OWNER_EMAIL", &m.owner_email),
        ("CODER_WORKSPACE_OWNER_GROUPS", "[]"),
        ("CODER_WORKSPACE_OWNER_RBAC_ROLES", "[]"),
        ("CODER_WORKSPACE_TEMPLATE_ID", &m.template_id),
        ("CODER_WORKSPACE_TEMPLATE_NAME", &m.template_name),
        ("CODER_WORKSPACE_TEMPLATE_VERSION", &m.template_version_name),
        ("CODER_WORKSPACE_BUILD_ID", &m.build_id),
        ("ORGPLANE_ORGANIZATION_ID", &m.organization_id),
        ("ORGPLANE_ORGANIZATION_NAME", &m.organization_name),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.replace('\0', ""))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_own_settings_are_hidden_from_templates() {
        let host =
            ["PATH", "AWS_PROFILE", "CODER_PROVISIONER_DAEMON_KEY", "ORGPLANE_KEY", "TF_WORKSPACE", "TF_CLI_ARGS_plan"]
                .map(|name| (OsString::from(name), OsString::from("x")));
        let metadata = JobMetadata { workspace_name: "dev".to_owned(), ..JobMetadata::default() };
        let env = base(host.into_iter(), &job(&metadata, "start", "http://h"));
        assert!(env.contains_key("PATH") && env.contains_key("AWS_PROFILE"));
        assert_eq!(env["CODER_WORKSPACE_NAME"], "dev");
        assert_eq!(env["CODER_AGENT_URL"], "http://h");
        for hidden in ["CODER_PROVISIONER_DAEMON_KEY", "ORGPLANE_KEY", "TF_WORKSPACE", "TF_CLI_ARGS_plan"] {
            assert!(!env.contains_key(hidden), "{hidden}");
        }
    }
}
