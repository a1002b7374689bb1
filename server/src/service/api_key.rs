//! Sessions and tokens that users make beside signing in, and what they see of them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::audit::Attempt;
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::UserId;
use crate::domain::page::Page;
use crate::domain::permission::{Action, Object, Reach, Resource, Scope, authorize, reach};
use crate::domain::rule::Violations;
use crate::domain::token::{self, MOST_OF_A_USER, TOKEN_LIFETIME, Token};
use crate::domain::user::LoginType;
use crate::domain::{Error, Result, Timestamp, name, version_name};
use crate::store;
use crate::store::Tx;
use crate::store::entity::{api_key, user_account};

/// Scopes that one token is given at most.
const MOST_SCOPES: usize = 100;
/// What a token may be used on: everything. Nothing else can be asked for yet.
const EVERYTHING: &str = "*:*";
/// No token is shorter: what is stored of its lifetime is seconds.
const SHORTEST: Duration = Duration::from_secs(1);

/// A token to be, as a client asks for it.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct NewToken {
    pub user: String,
    /// Nanoseconds.
    pub lifetime: i64,
    pub scopes: Vec<String>,
    pub name: String,
    pub allow_list: Vec<String>,
}

/// Which tokens a list is of, as a client asks for it.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct TokenQuery {
    pub user: String,
    pub include_all: bool,
    pub include_expired: bool,
    pub limit: i32,
    pub offset: i32,
}

/// What a new key is besides its secret.
pub(super) struct NewKey<'a> {
    pub(super) user: UserId,
    pub(super) login_type: LoginType,
    /// Empty for sessions.
    pub(super) name: &'a str,
    /// Names of scopes with spaces between them.
    pub(super) scope: &'a str,
    pub(super) lifetime: Duration,
}

impl Service {
    /// Makes a session of a user's, as a login does, for a program.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, also when their own token is for less
    /// than everything, [`Error::TooManyKeys`].
    pub async fn key_create(&self, caller: &Caller, user: &str) -> Result<String> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::ApiKey);
        let result = self.key_create_attempt(caller, user, &mut attempt).await;
        attempt.end(result).await
    }

    async fn key_create_attempt(&self, caller: &Caller, user: &str, attempt: &mut Attempt<'_>) -> Result<String> {
        let user = self.user_of_keys(caller, user, Action::Create).await?;
        attempt.also("user", &user.username);
        if caller.user()?.scope != Scope::All {
            return Err(Error::Denied);
        }
        let new = NewKey {
            user: user.id,
            login_type: LoginType::Password,
            name: "",
            scope: token::ALL,
            lifetime: TOKEN_LIFETIME.min(self.policy.max_token_lifetime),
        };
        self.key_store(caller, new, attempt).await
    }

    /// Makes a token, which can be used for no more than what the caller came in with.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::Invalid`] when a rule is
    /// broken, [`Error::AlreadyExists`] when the user has a live token of the name, [`Error::TooManyKeys`].
    pub async fn token_create(&self, caller: &Caller, new: NewToken) -> Result<String> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::ApiKey);
        let result = self.token_create_attempt(caller, new, &mut attempt).await;
        attempt.end(result).await
    }

    async fn token_create_attempt(&self, caller: &Caller, new: NewToken, attempt: &mut Attempt<'_>) -> Result<String> {
        attempt.named(&new.name);
        let user = self.user_of_keys(caller, &new.user, Action::Create).await?;
        attempt.also("user", &user.username);
        let Valid { lifetime, scope, names } = validate(&new, self.policy.max_token_lifetime)?;
        if !scope.is_within(&caller.user()?.scope) {
            return Err(Error::Denied);
        }
        let name = if new.name.is_empty() { version_name::generate() + &token::random_suffix() } else { new.name };
        attempt.named(&name);
        let new = NewKey { user: user.id, login_type: LoginType::Token, name: &name, scope: &names, lifetime };
        self.key_store(caller, new, attempt).await
    }

    async fn key_store(&self, caller: &Caller, new: NewKey<'_>, attempt: &mut Attempt<'_>) -> Result<String> {
        let tx = self.store.begin().await?;
        let now = store::now(&tx).await?;
        let mut count = store::api_key::make_room(&tx, new.user, now, new.name).await?;
        if count >= MOST_OF_A_USER {
            count -= store::api_key::delete_expired(&tx, new.user, now).await?;
        }
        if count >= MOST_OF_A_USER {
            return Err(Error::TooManyKeys(MOST_OF_A_USER));
        }
        let (token, key) = key_insert(&tx, caller, new, now).await?;
        attempt.change(None, Some(&key)).commit(tx).await?;
        Ok(token.reveal())
    }

    /// Tokens, each with its user's name, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] as the caller's permission has it, [`Error::Invalid`].
    pub async fn token_list(&self, caller: &Caller, query: TokenQuery) -> Result<Vec<(api_key::Model, String)>> {
        let user = self.user_of_keys(caller, &query.user, Action::Read).await?;
        let mut violations = Violations::default();
        let page = Page::parse(query.limit, query.offset, &mut violations);
        violations.finish()?;
        let all = query.include_all && reach(caller.user()?, Action::Read, Resource::ApiKey) == Reach::All;
        let live_at = if query.include_expired { None } else { Some(self.store.now().await?) };
        let filter = store::api_key::Filter { user: (!all).then_some(user.id), live_at };
        let keys = store::api_key::list(&self.store, &filter, page).await?;
        let users: BTreeSet<UserId> = keys.iter().map(|key| key.user_id).collect();
        let users = store::user::find_many(&self.store, users).await?;
        let named = |key: api_key::Model| {
            let name = users.get(&key.user_id).map(|user| user.username.clone()).unwrap_or_default();
            (key, name)
        };
        Ok(keys.into_iter().map(named).collect())
    }

    /// How long a user's tokens may live.
    ///
    /// # Errors
    /// [`Error::NotFound`] as the caller's permission has it.
    pub async fn token_config(&self, caller: &Caller, user: &str) -> Result<Duration> {
        self.user_of_keys(caller, user, Action::Read).await?;
        Ok(self.policy.max_token_lifetime)
    }

    /// A token by its name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn token_get(&self, caller: &Caller, user: &str, name: &str) -> Result<api_key::Model> {
        let user = self.user_of_keys(caller, user, Action::Read).await?;
        // What can't be a name isn't looked up: not every text is one for the database.
        name::token(name).map_err(|_| Error::NotFound(Kind::ApiKey))?;
        store::api_key::find_by_name(&self.store, user.id, name).await
    }

    /// A session or token by its id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn key_get(&self, caller: &Caller, user: &str, id: &str) -> Result<api_key::Model> {
        let user = self.user_of_keys(caller, user, Action::Read).await?;
        key_find(&self.store, &user, id).await
    }

    /// Deletes a session or token; calls with it fail from now on, and streams that are open with it end.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it.
    pub async fn key_delete(&self, caller: &Caller, user: &str, id: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Delete, AuditResource::ApiKey);
        let result = self.key_delete_attempt(caller, user, id, &mut attempt).await;
        attempt.end(result).await
    }

    async fn key_delete_attempt(&self, caller: &Caller, user: &str, id: &str, attempt: &mut Attempt<'_>) -> Result<()> {
        let user = self.user_of_keys(caller, user, Action::Delete).await?;
        attempt.also("user", &user.username);
        let tx = self.store.begin().await?;
        let key = key_find(&tx, &user, id).await?;
        store::session::delete(&tx, &key.id).await?;
        attempt.named(&key.token_name).change(Some(&key), None).commit(tx).await
    }

    /// Ends a session or token and keeps for a while what it was.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it.
    pub async fn key_expire(&self, caller: &Caller, user: &str, id: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::ApiKey);
        let result = self.key_expire_attempt(caller, user, id, &mut attempt).await;
        attempt.end(result).await
    }

    async fn key_expire_attempt(&self, caller: &Caller, user: &str, id: &str, attempt: &mut Attempt<'_>) -> Result<()> {
        let user = self.user_of_keys(caller, user, Action::Update).await?;
        attempt.also("user", &user.username);
        let tx = self.store.begin().await?;
        let key = key_find(&tx, &user, id).await?;
        let now = store::now(&tx).await?;
        store::api_key::expire(&tx, &key.id, now).await?;
        let expired = api_key::Model { expires_at: key.expires_at.min(now), ..key.clone() };
        attempt.named(&key.token_name).change(Some(&key), Some(&expired)).commit(tx).await
    }

    /// The user that a path names, if the caller may do this to their sessions and tokens. Whoever may not read those
    /// isn't told whether there is such a user.
    async fn user_of_keys(&self, caller: &Caller, user: &str, action: Action) -> Result<user_account::Model> {
        let user = self.user_resolve(caller, user).await?;
        let object = Object::site(Resource::ApiKey).owned_by(user.id);
        authorize(caller.user()?, action, &object, Kind::User)?;
        Ok(user)
    }
}

/// Stores a key; its secret is in the token that is returned and nowhere else.
pub(super) async fn key_insert(
    tx: &Tx,
    caller: &Caller,
    new: NewKey<'_>,
    now: Timestamp,
) -> Result<(Token, api_key::Model)> {
    let NewKey { user, login_type, name, scope, lifetime } = new;
    let token = Token::generate();
    let key = api_key::Model {
        id: token.id.clone(),
        secret_sha256: token.hash(),
        user_id: user,
        login_type,
        token_name: name.to_owned(),
        scope: scope.to_owned(),
        lifetime_seconds: i64::try_from(lifetime.as_secs()).map_err(Error::internal)?,
        ip_address: caller.address.map(|address| address.to_string()).unwrap_or_default(),
        last_used_at: now,
        expires_at: now.plus(lifetime),
        created_at: now,
        updated_at: now,
    };
    store::api_key::insert(tx, key.clone()).await?;
    Ok((token, key))
}

async fn key_find(db: &impl store::Access, user: &user_account::Model, id: &str) -> Result<api_key::Model> {
    // What can't be an id isn't looked up: not every text is one for the database.
    if id.len() != token::ID || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::NotFound(Kind::ApiKey));
    }
    store::api_key::find(db, user.id, id).await
}

/// What a valid request asks for.
struct Valid {
    lifetime: Duration,
    scope: Scope,
    /// As they are stored.
    names: String,
}

fn validate(new: &NewToken, longest: Duration) -> Result<Valid> {
    let mut violations = Violations::default();
    let lifetime = match u64::try_from(new.lifetime) {
        Ok(0) => TOKEN_LIFETIME.min(longest),
        Ok(nanoseconds) => Duration::from_nanos(nanoseconds),
        Err(_) => Duration::ZERO,
    };
    if lifetime < SHORTEST || lifetime > longest {
        let rule = format!("must be at least a second and at most {} hours, in nanoseconds", longest.as_secs() / 3600);
        violations.add("lifetime", rule);
    }
    if !new.name.is_empty() {
        violations.check("token_name", name::token(&new.name));
    }
    if new.allow_list.iter().any(|entry| entry != EVERYTHING) {
        violations
            .add("allow_list", format!("must be `{EVERYTHING}` or empty: tokens can't be for single objects yet"));
    }
    let mut names: Vec<&str> = new.scopes.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        names.push(token::ALL);
    }
    let scope = if names.len() > MOST_SCOPES {
        violations.add("scopes", format!("must be at most {MOST_SCOPES}"));
        Scope::default()
    } else {
        Scope::parse(names.iter().copied()).unwrap_or_else(|unknown| {
            let known: String = unknown.chars().take(64).collect();
            violations
                .add("scopes", format!("{known:?} is no scope of this server; GET /api/v2/auth/scopes lists them"));
            Scope::default()
        })
    };
    violations.finish()?;
    let names = if scope == Scope::All { token::ALL.to_owned() } else { names.join(" ") };
    Ok(Valid { lifetime, scope, names })
}
