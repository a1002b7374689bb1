//! How often each method may be called: by a user, or from an address where nobody is signed in. Daemons' calls aren't
//! counted. Each server counts for itself.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use http::HeaderMap;
use orgplane_proto::METHODS;
use orgplane_proto::context::BYPASS_LIMITS;

use crate::domain::id::UserId;
use crate::domain::permission::SiteRole;
use crate::domain::rate::{Recent, Used, place};
use crate::domain::{Error, Result};
use crate::options::Policy;
use crate::service::Actor;

/// Callers and methods that are remembered, about 100 bytes each.
const MOST: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    User(UserId),
    Address(Option<IpAddr>),
}

/// What of the limits is used up.
#[derive(Debug)]
pub(crate) struct RateLimits {
    policy: Policy,
    used: Mutex<Recent<(Who, usize), Used>>,
    begun: Instant,
}

impl RateLimits {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, used: Mutex::new(Recent::new(MOST)), begun: Instant::now() }
    }

    /// Counts a call.
    ///
    /// # Errors
    /// [`Error::TooFast`], or [`Error::BypassDenied`] when somebody else than an owner asks to be let through.
    pub(crate) fn admit(
        &self,
        actor: &Actor,
        address: Option<IpAddr>,
        method: &str,
        headers: &HeaderMap,
    ) -> Result<()> {
        let (who, is_owner) = match actor {
            Actor::Daemon(_) => return Ok(()),
            Actor::User { subject, .. } => (Who::User(subject.user_id), subject.is(SiteRole::Owner)),
            Actor::Anonymous => (Who::Address(address.map(place)), false),
        };
        let limit = limit(&self.policy, method);
        if limit == 0 {
            return Ok(());
        }
        if headers.get(BYPASS_LIMITS).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
            return if is_owner { Ok(()) } else { Err(Error::BypassDenied) };
        }
        // What isn't a method is one more.
        let method = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len());
        let now = self.begun.elapsed();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.of((who, method)).take(now, limit).map_err(|wait| Error::TooFast { what: "requests", wait })
    }
}

fn limit(policy: &Policy, method: &str) -> u32 {
    let (_, rpc) = method.rsplit_once('/').unwrap_or_default();
    match rpc {
        "UploadFile" => policy.uploads_per_minute,
        "Login" | "CreateFirstUser" => policy.logins_per_minute,
        rpc if rpc.contains("Password") => policy.logins_per_minute,
        _ => policy.calls_per_minute,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::domain::permission::{Scope, Subject};

    const LIST: &str = "/orgplane.template.v1.TemplateService/ListTemplates";
    const GET: &str = "/orgplane.template.v1.TemplateService/GetTemplate";

    fn user(roles: &[SiteRole]) -> Actor {
        let site_roles: BTreeSet<_> = roles.iter().copied().collect();
        let organizations = BTreeMap::new();
        let subject = Subject { user_id: UserId::new(), site_roles, organizations, scope: Scope::All };
        Actor::User { subject, api_key_id: String::new() }
    }

    #[test]
    fn each_caller_has_their_own_limit_of_each_method() {
        let limits = RateLimits::new(Policy { calls_per_minute: 2, ..Policy::default() });
        let none = HeaderMap::new();
        let admit = |actor: &Actor, method| limits.admit(actor, None, method, &none);
        let (one, other) = (user(&[]), user(&[]));
        for method in [LIST, GET] {
            assert!(admit(&one, method).is_ok() && admit(&one, method).is_ok());
            assert!(matches!(admit(&one, method), Err(Error::TooFast { .. })));
        }
        assert!(admit(&other, LIST).is_ok());
        let from = |address: &str| limits.admit(&Actor::Anonymous, address.parse().ok(), LIST, &none);
        assert!(from("192.0.2.1").is_ok() && from("192.0.2.1").is_ok() && from("192.0.2.1").is_err());
        assert!(from("192.0.2.2").is_ok());
        for made_up in ["/a/b", "/c/d"] {
            assert!(admit(&one, made_up).is_ok(), "what isn't a method is counted together");
        }
        assert!(admit(&one, "/e/f").is_err());
    }

    #[test]
    fn owners_may_bypass_it_and_nobody_else() {
        let limits = RateLimits::new(Policy { calls_per_minute: 1, ..Policy::default() });
        let bypass: HeaderMap = [(BYPASS_LIMITS.parse().unwrap(), "true".parse().unwrap())].into_iter().collect();
        let owner = user(&[SiteRole::Owner]);
        for _ in 0..5 {
            limits.admit(&owner, None, LIST, &bypass).unwrap();
        }
        for other in [user(&[SiteRole::UserAdmin]), Actor::Anonymous] {
            assert!(matches!(limits.admit(&other, None, LIST, &bypass), Err(Error::BypassDenied)));
        }
    }

    #[test]
    fn each_kind_of_method_has_its_limit_and_0_is_none() {
        let policy = Policy::default();
        let of = |rpc: &str| limit(&policy, &format!("/a.b/{rpc}"));
        assert_eq!([of("Login"), of("UpdatePassword"), of("UploadFile"), of("GetUser")], [60, 60, 12, 512]);
        let limits = RateLimits::new(Policy { calls_per_minute: 0, ..policy });
        let actor = user(&[]);
        for _ in 0..10_000 {
            limits.admit(&actor, None, LIST, &HeaderMap::new()).unwrap();
        }
    }
}
