//! `KeyService`.

use orgplane_proto::common::v1 as common;
use orgplane_proto::identity::v1::key_service_server::KeyService;
use orgplane_proto::identity::v1::{
    ApiKey, CreateKeyRequest, CreateKeyResponse, CreateTokenRequest, DeleteKeyRequest, ExpireKeyRequest, GetKeyRequest,
    GetTokenConfigRequest, GetTokenRequest, ListTokensRequest, ListTokensResponse, TokenConfig,
};
use tonic::{Request, Response, Status};

use super::convert::key as convert;
use super::{Api, parts, status};

#[tonic::async_trait]
impl KeyService for Api {
    async fn create_key(&self, request: Request<CreateKeyRequest>) -> Result<Response<CreateKeyResponse>, Status> {
        let (caller, CreateKeyRequest { user }) = parts(request)?;
        let key = self.0.key_create(&caller, &user).await.map_err(status::of)?;
        Ok(Response::new(CreateKeyResponse { key }))
    }

    async fn create_token(&self, request: Request<CreateTokenRequest>) -> Result<Response<CreateKeyResponse>, Status> {
        let (caller, m) = parts(request)?;
        let key = self.0.token_create(&caller, convert::new_token(m)).await.map_err(status::of)?;
        Ok(Response::new(CreateKeyResponse { key }))
    }

    async fn list_tokens(&self, request: Request<ListTokensRequest>) -> Result<Response<ListTokensResponse>, Status> {
        let (caller, m) = parts(request)?;
        let tokens = self.0.token_list(&caller, convert::token_query(m)).await.map_err(status::of)?;
        let tokens = tokens.into_iter().map(|(key, username)| ApiKey { username, ..convert::key(key) }).collect();
        Ok(Response::new(ListTokensResponse { tokens }))
    }

    async fn get_token_config(&self, request: Request<GetTokenConfigRequest>) -> Result<Response<TokenConfig>, Status> {
        let (caller, GetTokenConfigRequest { user }) = parts(request)?;
        let longest = self.0.token_config(&caller, &user).await.map_err(status::of)?;
        let max_token_lifetime = i64::try_from(longest.as_nanos()).unwrap_or(i64::MAX);
        Ok(Response::new(TokenConfig { max_token_lifetime }))
    }

    async fn get_token(&self, request: Request<GetTokenRequest>) -> Result<Response<ApiKey>, Status> {
        let (caller, GetTokenRequest { user, token_name }) = parts(request)?;
        let key = self.0.token_get(&caller, &user, &token_name).await.map_err(status::of)?;
        Ok(Response::new(convert::key(key)))
    }

    async fn get_key(&self, request: Request<GetKeyRequest>) -> Result<Response<ApiKey>, Status> {
        let (caller, GetKeyRequest { user, key }) = parts(request)?;
        let key = self.0.key_get(&caller, &user, &key).await.map_err(status::of)?;
        Ok(Response::new(convert::key(key)))
    }

    async fn delete_key(&self, request: Request<DeleteKeyRequest>) -> Result<Response<common::Empty>, Status> {
        let (caller, DeleteKeyRequest { user, key }) = parts(request)?;
        self.0.key_delete(&caller, &user, &key).await.map_err(status::of)?;
        Ok(Response::new(common::Empty {}))
    }

    async fn expire_key(&self, request: Request<ExpireKeyRequest>) -> Result<Response<common::Empty>, Status> {
        let (caller, ExpireKeyRequest { user, key }) = parts(request)?;
        self.0.key_expire(&caller, &user, &key).await.map_err(status::of)?;
        Ok(Response::new(common::Empty {}))
    }
}
