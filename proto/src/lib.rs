//! The wire types of Orgplane, generated from `proto/`: messages, gRPC clients and servers, and the serde
//! implementations with which the same messages are the documented REST JSON (`json`).

pub mod context;
pub mod json;
pub mod limits;

/// Errors and shared answers.
pub mod common {
    /// `orgplane.common.v1`.
    #[allow(missing_docs, clippy::all, clippy::unwrap_used)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/orgplane.common.v1.rs"));
    }
}

/// What a deployment says of itself.
pub mod deployment {
    /// `orgplane.deployment.v1`.
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/orgplane.deployment.v1.rs"));
    }
}

/// Users and sessions.
pub mod identity {
    /// `orgplane.identity.v1`.
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/orgplane.identity.v1.rs"));
    }
}

/// The audit log.
pub mod audit {
    /// `orgplane.audit.v1`.
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/orgplane.audit.v1.rs"));
    }
}

/// Organizations and their members.
pub mod organization {
    /// `orgplane.organization.v1`.
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/orgplane.organization.v1.rs"));
    }
}

/// Provisioner keys, jobs, daemons and the daemons' stream.
pub mod provisioner {
    /// `orgplane.provisioner.v1`.
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/orgplane.provisioner.v1.rs"));
    }
}

/// Files, templates and their versions.
pub mod template {
    /// `orgplane.template.v1`.
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/orgplane.template.v1.rs"));
    }
}

/// Workspaces and builds.
pub mod workspace {
    /// `orgplane.workspace.v1`.
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/orgplane.workspace.v1.rs"));
    }
}

mod extra {
    include!(concat!(env!("OUT_DIR"), "/extra.rs"));
}

pub use extra::{METHODS, PUBLIC_METHODS};

/// Every `.proto` file with its options, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// `major.minor` of the daemons' stream. Majors must be equal; a daemon's minor must not be newer than the server's.
pub const PROTOCOL_VERSION: &str = "1.0";

/// What the REST API calls its version. Clients compare major and minor with their own and warn of a difference, so it
/// begins with the release whose clients are tested (`tests/get-coder`); what follows says who answers.
pub const BUILD_VERSION: &str = concat!("v2.30.0+orgplane-", env!("CARGO_PKG_VERSION"));

/// The domain of `google.rpc.ErrorInfo` in which [`common::v1::ErrorReason`] is the reason.
pub const ERROR_DOMAIN: &str = "orgplane";

#[cfg(test)]
mod tests {
    use crate::provisioner::v1::{TemplateVariable, UploadHeader, UploadRequest, upload_request::Message};

    #[test]
    fn secrets_are_not_printed_wherever_they_stand() {
        let variable = TemplateVariable { name: "token".into(), default_value: "hunter2".into(), ..Default::default() };
        let shown = format!("{variable:?}");
        assert!(shown.contains("token") && !shown.contains("hunter2"), "{shown}");

        let data = UploadRequest { message: Some(Message::Data(b"hunter2".to_vec())) };
        let wanted = r#"UploadRequest { message: Some(Data("[redacted]")) }"#;
        assert_eq!(format!("{data:?}"), wanted);
        let header = Message::Header(UploadHeader { job_id: "a job".into(), ..Default::default() });
        assert!(format!("{header:?}").contains("a job"));
    }
}
