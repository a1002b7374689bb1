//! Sessions and tokens.

use orgplane_proto::identity::v1 as pb;

use super::timestamp;
use super::user::from_login_type;
use crate::domain::token;
use crate::service::{NewToken, TokenQuery};
use crate::store::entity::api_key;

/// A session or token as the API has it.
pub(crate) fn key(row: api_key::Model) -> pb::ApiKey {
    let api_key::Model {
        id,
        secret_sha256: _,
        user_id,
        login_type,
        token_name,
        scope,
        lifetime_seconds,
        ip_address: _,
        last_used_at,
        expires_at,
        created_at,
        updated_at,
    } = row;
    let whole = scope == token::ALL;
    pb::ApiKey {
        id,
        user_id: user_id.to_string(),
        last_used: Some(timestamp(last_used_at)),
        expires_at: Some(timestamp(expires_at)),
        created_at: Some(timestamp(created_at)),
        updated_at: Some(timestamp(updated_at)),
        login_type: from_login_type(login_type).into(),
        scopes: if whole { vec!["coder:all".to_owned()] } else { scope.split(' ').map(str::to_owned).collect() },
        scope: if whole { token::ALL.to_owned() } else { String::new() },
        token_name,
        lifetime_seconds,
        allow_list: vec!["*:*".to_owned()],
        username: String::new(),
    }
}

/// What a token is made from.
pub(crate) fn new_token(message: pb::CreateTokenRequest) -> NewToken {
    let pb::CreateTokenRequest { user, lifetime, scope, mut scopes, token_name, allow_list } = message;
    scopes.extend(Some(scope).filter(|scope| !scope.is_empty()));
    NewToken { user, lifetime, scopes, name: token_name, allow_list }
}

/// Which tokens are asked for.
pub(crate) fn token_query(message: pb::ListTokensRequest) -> TokenQuery {
    let pb::ListTokensRequest { user, include_all, include_expired, limit, offset } = message;
    TokenQuery { user, include_all, include_expired, limit, offset }
}
