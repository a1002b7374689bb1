//! Template versions.

use orgplane_proto::identity::v1::MinimalUser;
use orgplane_proto::template::v1 as pb;

use super::{job_view, timestamp};
use crate::service::template_version::{NewTemplateVersion, TemplateVersionView, Variable};
use crate::store::entity::template_version;

/// A version as the API has it.
pub(crate) fn template_version(view: TemplateVersionView) -> pb::TemplateVersion {
    let TemplateVersionView { version, job, created_by } = view;
    let template_version::Model {
        id,
        organization_id,
        template_id,
        job_id: _,
        name,
        message,
        readme,
        user_variable_values: _,
        lock_file: _,
        archived,
        created_by: _,
        created_at,
        updated_at,
    } = version;
    let matched_provisioners = job.matched.as_ref().map(job_view::matched);
    pb::TemplateVersion {
        id: id.to_string(),
        template_id: template_id.map(|id| id.to_string()).unwrap_or_default(),
        organization_id: organization_id.to_string(),
        created_at: Some(timestamp(created_at)),
        updated_at: Some(timestamp(updated_at)),
        name,
        message,
        job: Some(job_view::job(job)),
        readme,
        created_by: Some(MinimalUser {
            id: created_by.id.to_string(),
            username: created_by.username,
            name: created_by.name,
            avatar_url: created_by.avatar_url,
        }),
        archived,
        matched_provisioners,
        has_external_agent: false,
    }
}

/// What a request to make one says.
pub(crate) fn new_template_version(message: pb::CreateTemplateVersionRequest) -> NewTemplateVersion {
    let pb::CreateTemplateVersionRequest {
        organization,
        name,
        message,
        template_id,
        storage_method,
        file_id,
        provisioner,
        tags,
        user_variable_values,
        example_id,
    } = message;
    let value = |pb::VariableInput { name, value }| (name, value.into());
    NewTemplateVersion {
        organization,
        name,
        message,
        template_id,
        storage_method,
        file_id,
        provisioner,
        tags: tags.into_iter().collect(),
        user_variable_values: user_variable_values.into_iter().map(value).collect(),
        example_id,
    }
}

/// A variable as the API has it.
pub(crate) fn variable(variable: Variable) -> pb::TemplateVersionVariable {
    let Variable { name, description, kind, value, default_value, required, sensitive } = variable;
    pb::TemplateVersionVariable {
        name,
        description,
        r#type: kind,
        value: value.to_string(),
        default_value: default_value.to_string(),
        required,
        sensitive,
    }
}
