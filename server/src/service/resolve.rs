//! What the `{organization}` and `{user}` of a path name.

use super::{Caller, Service};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, UserId};
use crate::domain::permission::{Action, Object, Resource, authorize};
use crate::domain::{Error, Result, name};
use crate::store;
use crate::store::entity::{organization, user_account};

impl Service {
    /// The live organization named by its id, its name in any case, `default` or the nil id, if the caller may read it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none or the caller may not read it.
    pub async fn organization_resolve(&self, caller: &Caller, text: &str) -> Result<organization::Model> {
        let subject = caller.user()?;
        let found = match OrganizationId::parse(text) {
            Some(id) if id.0.is_nil() => store::organization::find_default(&self.store).await?,
            Some(id) => store::organization::find(&self.store, id).await?,
            None if text == "default" => store::organization::find_default(&self.store).await?,
            // What can't be a name isn't one; the database needn't see it.
            None if name::identifier(text).is_err() => None,
            None => store::organization::find_by_name(&self.store, text).await?,
        };
        let organization = found.ok_or(Error::NotFound(Kind::Organization))?;
        let object = Object::of(Resource::Organization, organization.id);
        authorize(subject, Action::Read, &object, Kind::Organization)?;
        Ok(organization)
    }

    /// The same named by a search, which is at fault when there is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none or the caller may not read it.
    pub(super) async fn organization_searched(&self, caller: &Caller, text: &str) -> Result<organization::Model> {
        self.organization_resolve(caller, text).await.map_err(|error| match error {
            Error::NotFound(_) => Error::invalid("organization", format!("{text:?} isn't one that you may see")),
            error => error,
        })
    }

    /// The live user named by their id, their username in any case, or `me`, whether or not the caller may read them:
    /// whoever asks decides on the object that the user is looked up for.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn user_resolve(&self, caller: &Caller, text: &str) -> Result<user_account::Model> {
        let found = match UserId::parse(text) {
            Some(id) => store::user::find(&self.store, id).await?,
            None if text == "me" => store::user::find(&self.store, caller.user()?.user_id).await?,
            None if name::identifier(text).is_err() => None,
            None => store::user::find_by_username(&self.store, text).await?,
        };
        found.ok_or(Error::NotFound(Kind::User))
    }
}
