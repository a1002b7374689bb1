//! What templates see of the daemon's environment, and what they are told about the job.

use std::collections::BTreeMap;
use std::ffi::OsString;

use orgplane_proto::provisioner::v1::JobMetadata;

/// All that templates get of a daemon's environment, which may hold secrets, unless more is named: where programs and
/// files are, language, the way to the network, Terraform's own configuration.
pub const ENVIRONMENT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "TF_CLI_CONFIG_FILE",
];

/// What templates get of the daemon's environment: [`ENVIRONMENT`] and what is named, `AWS_*` for all that begin so. Never
/// the daemon's own settings, nor what would make Terraform keep its state or plans elsewhere or change its command
/// lines. Then what is added.
pub(crate) fn base(
    host: impl Iterator<Item = (OsString, OsString)>,
    named: &[String],
    added: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let is_named = |name: &str| {
        let mut named = named.iter();
        named.any(|pattern| pattern.strip_suffix('*').map_or(name == pattern, |start| name.starts_with(start)))
    };
    let mut env: BTreeMap<String, String> = host
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| (ENVIRONMENT.contains(&name.as_str()) || is_named(name)) && !is_hidden(name))
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
    fn templates_get_what_is_named_and_never_the_daemons_own_settings() {
        const HIDDEN: [&str; 4] = ["CODER_PROVISIONER_DAEMON_KEY", "ORGPLANE_KEY", "TF_WORKSPACE", "TF_CLI_ARGS_plan"];
        let host = || {
            let names = ["PATH", "AWS_PROFILE", "AWS_REGION", "VAULT_TOKEN"].into_iter().chain(HIDDEN);
            names.map(|name| (OsString::from(name), OsString::from("x")))
        };
        let metadata = JobMetadata { workspace_name: "dev".to_owned(), ..JobMetadata::default() };
        let env = base(host(), &[], &job(&metadata, "start", "http://h"));
        assert!(env.contains_key("PATH") && !env.contains_key("AWS_PROFILE"));
        assert_eq!(env["CODER_WORKSPACE_NAME"], "dev");
        assert_eq!(env["CODER_AGENT_URL"], "http://h");
        let of =
            |named: &[&str]| base(host(), &named.iter().map(ToString::to_string).collect::<Vec<_>>(), &BTreeMap::new());
        let env = of(&["AWS_*"]);
        assert!(env.contains_key("AWS_PROFILE") && env.contains_key("AWS_REGION") && !env.contains_key("VAULT_TOKEN"));
        assert!(!of(&["AWS_"]).contains_key("AWS_PROFILE"));
        let env = of(&["*", "ORGPLANE_KEY"]);
        assert!(env.contains_key("VAULT_TOKEN"));
        for hidden in HIDDEN {
            assert!(!env.contains_key(hidden), "{hidden}");
        }
    }
}
