//! What a caller may do, for clients that show only that.

use std::collections::BTreeMap;

use super::{Caller, Service};
use crate::domain::Result;
use crate::domain::id::{OrganizationId, TemplateId, UserId, WorkspaceId, parse_hyphenated};
use crate::domain::permission::{Action, Object, Resource, Subject, allowed};
use crate::domain::rule::Violations;
use crate::store;

/// Questions of one call.
const MOST: usize = 200;

/// A question, as a client asks it; what isn't given is empty.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Question {
    pub resource_type: String,
    pub owner_id: String,
    pub organization_id: String,
    pub resource_id: String,
    /// In any of the caller's organizations.
    pub any_organization: bool,
    pub action: String,
}

/// The same, read.
struct Asked {
    action: Action,
    object: Object,
    resource_id: Option<uuid::Uuid>,
    any_organization: bool,
}

impl Service {
    /// Whether the caller may do these, by the names that they give them. What isn't there and what they can't see are
    /// answered alike.
    ///
    /// # Errors
    /// [`crate::domain::Error::Invalid`] for unknown words and malformed ids.
    pub async fn authorization_check(
        &self,
        caller: &Caller,
        questions: BTreeMap<String, Question>,
    ) -> Result<BTreeMap<String, bool>> {
        let subject = caller.user()?;
        let mut violations = Violations::default();
        if questions.len() > MOST {
            violations.add("checks", format!("must be at most {MOST}"));
            violations.finish()?;
            return Ok(BTreeMap::new());
        }
        let asked: BTreeMap<String, Option<Asked>> = questions
            .into_iter()
            .map(|(name, question)| {
                let asked = read(&name, &question, subject, &mut violations);
                (name, asked)
            })
            .collect();
        violations.finish()?;
        let mut answers = BTreeMap::new();
        for (name, asked) in asked {
            let answer = match asked {
                Some(asked) => self.answer(subject, asked).await?,
                None => false,
            };
            answers.insert(name, answer);
        }
        Ok(answers)
    }

    async fn answer(&self, subject: &Subject, asked: Asked) -> Result<bool> {
        let Asked { action, object, resource_id, any_organization } = asked;
        let object = match resource_id {
            Some(id) => match self.object_of(object, id).await? {
                Some(object)
                    if object.resource == Resource::Organization || allowed(subject, Action::Read, &object) =>
                {
                    object
                }
                _ => return Ok(false),
            },
            None => object,
        };
        let somewhere = |organization: &OrganizationId| {
            allowed(subject, action, &Object { organization: Some(*organization), ..object })
        };
        let anywhere = any_organization && subject.organizations.keys().any(somewhere);
        Ok(anywhere || allowed(subject, action, &object))
    }

    /// Where something is and whose it is, of the kinds that can be named; others are as the client says.
    async fn object_of(&self, object: Object, id: uuid::Uuid) -> Result<Option<Object>> {
        Ok(match object.resource {
            Resource::Workspace => {
                let found = store::workspace::find(&self.store, WorkspaceId(id)).await?;
                found.map(|workspace| Object::workspace(workspace.organization_id, workspace.owner_id))
            }
            Resource::Template => {
                let found = store::template::find(&self.store, TemplateId(id)).await?;
                found.map(|template| Object::of(Resource::Template, template.organization_id))
            }
            Resource::Organization => Some(Object::of(Resource::Organization, OrganizationId(id))),
            Resource::User => Some(Object { owner: Some(UserId(id)), ..object }),
            _ => Some(object),
        })
    }
}

fn read(name: &str, question: &Question, subject: &Subject, violations: &mut Violations) -> Option<Asked> {
    let named: String = name.chars().take(64).collect();
    let mut wrong = |member: &str, rule: &str| violations.add(format!("checks.{named}.{member}"), rule);
    let resource = Resource::named(&question.resource_type);
    if resource.is_none() {
        wrong("object.resource_type", "must be a type of resource that this server knows");
    }
    let action = Action::named(&question.action);
    if action.is_none() {
        wrong("action", "must be an action that this server knows");
    }
    let mut id = |member: &str, text: &str| {
        let id = parse_hyphenated(text);
        if id.is_none() && !text.is_empty() {
            wrong(member, "must be a UUID");
        }
        id
    };
    let owner = match question.owner_id.as_str() {
        "me" => Some(subject.user_id),
        text => id("object.owner_id", text).map(UserId),
    };
    let organization = id("object.organization_id", &question.organization_id).map(OrganizationId);
    let resource_id = id("object.resource_id", &question.resource_id);
    let object = Object { resource: resource?, organization, owner };
    Some(Asked { action: action?, object, resource_id, any_organization: question.any_organization })
}
