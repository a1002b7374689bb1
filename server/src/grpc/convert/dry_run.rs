//! Dry runs.

use orgplane_proto::template::v1 as pb;

use crate::service::dry_run::NewDryRun;

/// What a request to make one says.
pub(crate) fn new_dry_run(message: pb::CreateDryRunRequest) -> NewDryRun {
    let pb::CreateDryRunRequest { template_version, workspace_name, rich_parameter_values, user_variable_values } =
        message;
    let value = |pb::VariableInput { name, value }| (name, value.into());
    NewDryRun {
        template_version,
        workspace_name,
        parameters: rich_parameter_values.into_iter().map(|parameter| parameter.name).collect(),
        user_variable_values: user_variable_values.into_iter().map(value).collect(),
    }
}
