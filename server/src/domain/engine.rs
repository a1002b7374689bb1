//! What runs a template.

use sea_orm::{DeriveActiveEnum, EnumIter};

/// An engine; a daemon takes only jobs for those that it offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Engine {
    /// Terraform or OpenTofu.
    #[sea_orm(string_value = "terraform")]
    Terraform,
    /// Scripted results, for tests and demonstrations.
    #[sea_orm(string_value = "echo")]
    Echo,
}

impl Engine {
    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "terraform" => Some(Self::Terraform),
            "echo" => Some(Self::Echo),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Echo => "echo",
        }
    }
}
