//! What a token may be used for, of all that its user may.

use std::collections::BTreeSet;

use super::catalogue::Action::{Create, Delete, Read, Start, Stop, Update, Use};
use super::catalogue::{Action, Resource};

/// Scopes of several permissions, as clients know them.
const COMPOSITES: &[(&str, &[(Resource, Action)])] = &[
    (
        "coder:workspaces.create",
        &[
            (Resource::Template, Read),
            (Resource::Template, Use),
            (Resource::Workspace, Create),
            (Resource::Workspace, Read),
        ],
    ),
    (
        "coder:workspaces.operate",
        &[(Resource::Workspace, Read), (Resource::Workspace, Start), (Resource::Workspace, Stop)],
    ),
    ("coder:workspaces.delete", &[(Resource::Workspace, Read), (Resource::Workspace, Delete)]),
    ("coder:templates.build", &[(Resource::Template, Read), (Resource::File, Create), (Resource::File, Read)]),
    (
        "coder:templates.author",
        &[
            (Resource::Template, Read),
            (Resource::Template, Create),
            (Resource::Template, Update),
            (Resource::Template, Delete),
            (Resource::File, Create),
            (Resource::File, Read),
        ],
    ),
    (
        "coder:apikeys.manage_self",
        &[(Resource::ApiKey, Create), (Resource::ApiKey, Read), (Resource::ApiKey, Update), (Resource::ApiKey, Delete)],
    ),
];

/// The name of the scope that narrows nothing.
const ALL: &str = "coder:all";
/// The same in older clients' words.
const ALL_ONCE: &str = "all";

/// What a token may be used for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// All that its user may do.
    #[default]
    All,
    /// These of them. Organizations can be read by every token, because paths name them.
    Only(BTreeSet<(Resource, Action)>),
}

impl Scope {
    /// The scope of several names, as they are stored and shown.
    ///
    /// # Errors
    /// The first name that is of no scope.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let (mut only, mut all) = (BTreeSet::new(), false);
        for name in names {
            if name == ALL || name == ALL_ONCE {
                all = true;
            } else {
                only.extend(permissions(name).ok_or(name)?);
            }
        }
        Ok(if all { Self::All } else { Self::Only(only) })
    }

    /// Whether it lets this through.
    #[must_use]
    pub fn permits(&self, resource: Resource, action: Action) -> bool {
        match self {
            Self::All => true,
            Self::Only(permissions) => {
                (resource, action) == (Resource::Organization, Read) || permissions.contains(&(resource, action))
            }
        }
    }

    /// Whether all that it lets through, the other does.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::All) => true,
            (Self::All, Self::Only(_)) => false,
            (Self::Only(these), Self::Only(those)) => these.is_subset(those),
        }
    }

    /// The names that a token can be given, in order.
    #[must_use]
    pub fn names() -> Vec<String> {
        let pairs = super::pairs().map(|(resource, action)| format!("{}:{}", resource.text(), action.text()));
        let whole = Resource::ALL.iter().map(|resource| format!("{}:*", resource.text()));
        let composites = COMPOSITES.iter().map(|(name, _)| (*name).to_owned());
        let mut names: Vec<String> = pairs.chain(whole).chain(composites).chain([ALL.to_owned()]).collect();
        names.sort();
        names
    }
}

fn permissions(name: &str) -> Option<BTreeSet<(Resource, Action)>> {
    if let Some((_, permissions)) = COMPOSITES.iter().find(|(composite, _)| *composite == name) {
        return Some(permissions.iter().copied().collect());
    }
    let (resource, action) = name.split_once(':')?;
    let resource = Resource::named(resource)?;
    let of_it = super::pairs().filter(|(of, _)| *of == resource);
    if action == "*" {
        return Some(of_it.collect());
    }
    let pair = (resource, Action::named(action)?);
    of_it.into_iter().any(|known| known == pair).then(|| BTreeSet::from([pair]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_of_a_scope_and_no_other() {
        for name in Scope::names() {
            assert!(Scope::parse([name.as_str()]).is_ok(), "{name}");
        }
        for name in ["", "*", "all ", "workspace", "workspace:", "workspace:assign", "planet:read", "coder:moon"] {
            assert_eq!(Scope::parse(["template:read", name]), Err(name));
        }
    }

    #[test]
    fn a_scope_lets_through_what_it_names() {
        let scope = Scope::parse(["template:read", "workspace:*"]).unwrap();
        assert!(scope.permits(Resource::Template, Read) && scope.permits(Resource::Workspace, Delete));
        assert!(scope.permits(Resource::Organization, Read), "paths name organizations");
        assert!(!scope.permits(Resource::Template, Update) && !scope.permits(Resource::User, Read));
        assert!(Scope::parse(["template:read", "all"]).unwrap() == Scope::All);
        assert!(scope.is_within(&Scope::All) && !Scope::All.is_within(&scope) && scope.is_within(&scope));
        assert!(!scope.is_within(&Scope::parse(["template:read"]).unwrap()));
    }
}
