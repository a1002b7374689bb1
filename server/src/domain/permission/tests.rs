mod page;

use super::Action::{Create, Delete, Interrupt, Read, Start, Update};
use super::*;

fn subject(site: &[SiteRole], organizations: &[(OrganizationId, &[OrganizationRole])]) -> Subject {
    let held =
        |roles: &&[OrganizationRole]| Membership { roles: roles.iter().copied().collect(), ..Default::default() };
    Subject {
        user_id: UserId::new(),
        site_roles: site.iter().copied().collect(),
        organizations: organizations.iter().map(|(id, roles)| (*id, held(roles))).collect(),
        scope: Scope::All,
    }
}

/// Somebody who holds this and nothing else, but what it can't be held without.
fn holder(holder: Holder, here: OrganizationId) -> Subject {
    let org = |role| subject(&[], &[(here, &[role])]);
    match holder {
        Holder::Owner => subject(&[SiteRole::Owner], &[]),
        Holder::UserAdmin => subject(&[SiteRole::UserAdmin], &[]),
        Holder::TemplateAdmin => subject(&[SiteRole::TemplateAdmin], &[]),
        Holder::Auditor => subject(&[SiteRole::Auditor], &[]),
        Holder::Anyone => subject(&[], &[]),
        Holder::OrgAdmin => org(OrganizationRole::Admin),
        Holder::OrgUserAdmin => org(OrganizationRole::UserAdmin),
        Holder::OrgTemplateAdmin => org(OrganizationRole::TemplateAdmin),
        Holder::OrgAuditor => org(OrganizationRole::Auditor),
        Holder::OrgMember | Holder::Own => subject(&[], &[(here, &[])]),
    }
}

/// Each row lets exactly its holders through, in the object's organization and in no other.
#[test]
fn a_row_lets_its_holders_through_and_nobody_else() {
    for (resource, action, holders) in TABLE {
        let (here, there) = (OrganizationId::new(), OrganizationId::new());
        let object = Object::of(*resource, here);
        let row = format!("{resource:?} {action:?}");
        for one in Holder::ALL {
            let who = holder(one, here);
            let object = if one == Holder::Own { object.owned_by(who.user_id) } else { object };
            let is_member = who.membership(here).is_some();
            let expected = holders.contains(&one)
                || holders.contains(&Holder::Anyone)
                || (is_member && holders.contains(&Holder::OrgMember));
            assert_eq!(allowed(&who, *action, &object), expected, "{row} {one:?}");
        }
        let every = OrganizationRole::ALL;
        let foreign = subject(&[], &[(there, &every)]);
        let anyone = holders.contains(&Holder::Anyone);
        assert_eq!(allowed(&foreign, *action, &object), anyone, "{row} from elsewhere");
        assert_eq!(allowed(&foreign, *action, &object.owned_by(foreign.user_id)), anyone, "{row} after leaving");
        assert_eq!(allowed(&subject(&[], &[]), *action, &Object::site(*resource)), anyone, "{row} of the site");
    }
}

#[test]
fn the_table_names_each_pair_once() {
    assert_eq!(pairs().collect::<BTreeSet<_>>().len(), TABLE.len());
}

#[test]
fn what_the_table_does_not_name_nobody_may() {
    let owner = subject(&[SiteRole::Owner], &[]);
    assert!(!allowed(&owner, Start, &Object::site(Resource::User)));
    assert!(!allowed(&owner, Read, &Object::site(Resource::File)), "a file is its uploader's alone");
}

#[test]
fn unreadable_is_not_found_and_readable_is_denied() {
    let organization = OrganizationId::new();
    let key = Object::of(Resource::ProvisionerDaemon, organization);
    let outcome = |subject: &Subject, action| authorize(subject, action, &key, Kind::ProvisionerKey);
    let member = subject(&[], &[(organization, &[])]);
    assert!(outcome(&member, Read).is_ok());
    assert!(matches!(outcome(&member, Delete), Err(Error::Denied)));
    let stranger = subject(&[], &[]);
    for action in [Read, Create, Delete] {
        assert!(matches!(outcome(&stranger, action), Err(Error::NotFound(Kind::ProvisionerKey))));
    }
}

#[test]
fn what_is_of_the_site_can_be_ones_own() {
    let ann = subject(&[], &[]);
    let account = Object::site(Resource::User);
    assert!(allowed(&ann, Read, &account.owned_by(ann.user_id)));
    assert!(!allowed(&ann, Read, &account.owned_by(UserId::new())));
    assert!(!allowed(&ann, Read, &account));
}

#[test]
fn a_ban_takes_away_what_is_held_in_the_organization_and_no_more() {
    let (here, there) = (OrganizationId::new(), OrganizationId::new());
    let both: &[OrganizationRole] = &[OrganizationRole::Admin, OrganizationRole::WorkspaceCreationBan];
    let mut banned = subject(&[], &[(here, both), (there, &[])]);
    let grants = BTreeSet::from([(Resource::Workspace, Create)]);
    banned.organizations.get_mut(&here).unwrap().permissions = grants;
    for action in [Create, Delete] {
        assert!(!allowed(&banned, action, &Object::workspace(here, banned.user_id)), "{action:?}");
        assert!(!allowed(&banned, action, &Object::of(Resource::Workspace, here)), "{action:?}");
        assert!(allowed(&banned, action, &Object::workspace(there, banned.user_id)), "{action:?} elsewhere");
    }
    assert!(allowed(&banned, Start, &Object::workspace(here, banned.user_id)));
    let owner = Subject { site_roles: BTreeSet::from([SiteRole::Owner]), ..banned };
    assert!(allowed(&owner, Create, &Object::workspace(here, owner.user_id)), "the site's owner keeps what is theirs");
}

#[test]
fn a_custom_role_grants_in_its_organization_and_a_scope_narrows() {
    let (here, there) = (OrganizationId::new(), OrganizationId::new());
    let mut ann = subject(&[], &[(here, &[]), (there, &[])]);
    let template = |organization| Object::of(Resource::Template, organization);
    assert!(!allowed(&ann, Update, &template(here)));
    ann.organizations.get_mut(&here).unwrap().permissions =
        BTreeSet::from([(Resource::Template, Update), (Resource::Workspace, Interrupt)]);
    assert!(allowed(&ann, Update, &template(here)) && !allowed(&ann, Update, &template(there)));
    assert!(allowed(&ann, Interrupt, &Object::workspace(here, UserId::new())));
    assert!(!allowed(&ann, Delete, &template(here)));
    let narrowed = Subject { scope: Scope::parse(["template:read"]).unwrap(), ..ann };
    assert!(!allowed(&narrowed, Update, &template(here)) && allowed(&narrowed, Read, &template(here)));
}

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let here = OrganizationId::new();
    let update = BTreeSet::from([(Resource::Template, Update)]);
    let who = |one| holder(one, here);
    let custom = |subject: &Subject, permissions| may_assign(subject, here, Assignable::Custom(permissions));
    let built_in = |subject: &Subject| may_assign(subject, here, Assignable::BuiltIn(OrganizationRole::Auditor));
    for one in Holder::ALL {
        let all = matches!(one, Holder::Owner | Holder::OrgAdmin);
        assert_eq!(built_in(&who(one)), all, "{one:?}");
        assert_eq!(custom(&who(one), &update), all, "{one:?}");
        assert_eq!(may_assign_of_site(&who(one)), one == Holder::Owner, "{one:?}");
    }
    let read = BTreeSet::from([(Resource::OrganizationMember, Read)]);
    assert!(custom(&who(Holder::OrgUserAdmin), &read), "they hold it");
    assert!(!may_assign(&who(Holder::OrgAdmin), OrganizationId::new(), Assignable::Custom(&read)), "elsewhere");
    let owner = BTreeSet::from([SiteRole::Owner]);
    assert!(
        may_change_holder_of(&who(Holder::Owner), &owner) && !may_change_holder_of(&who(Holder::UserAdmin), &owner)
    );
    assert!(may_change_holder_of(&who(Holder::UserAdmin), &BTreeSet::from([SiteRole::UserAdmin])));
}

#[test]
fn a_narrow_token_gives_nothing_that_is_wider() {
    let here = OrganizationId::new();
    let scope = Scope::parse(["assign_org_role:*", "assign_role:*", "user:*"]).unwrap();
    let admin = Subject { scope: scope.clone(), ..holder(Holder::OrgAdmin, here) };
    assert!(!may_assign(&admin, here, Assignable::BuiltIn(OrganizationRole::Admin)));
    let owner = Subject { scope, ..holder(Holder::Owner, here) };
    assert!(!may_assign(&owner, here, Assignable::BuiltIn(OrganizationRole::Admin)) && !may_assign_of_site(&owner));
    assert!(!may_change_holder_of(&owner, &BTreeSet::from([SiteRole::Owner])));
    assert!(!may_take_over(&owner, &subject(&[], &[])) && may_take_over(&holder(Holder::Owner, here), &owner));
}

#[test]
fn an_account_is_taken_over_by_those_who_could_give_what_it_holds() {
    let here = OrganizationId::new();
    let user_admin = holder(Holder::UserAdmin, here);
    let with = |role| subject(&[], &[(here, &[role])]);
    assert!(may_take_over(&user_admin, &subject(&[], &[(here, &[])])));
    assert!(may_take_over(&user_admin, &with(OrganizationRole::WorkspaceCreationBan)));
    assert!(!may_take_over(&user_admin, &with(OrganizationRole::Admin)));
    assert!(!may_take_over(&user_admin, &subject(&[SiteRole::TemplateAdmin], &[])));
    let mut custom = subject(&[], &[(here, &[])]);
    custom.organizations.get_mut(&here).unwrap().permissions = BTreeSet::from([(Resource::Template, Update)]);
    assert!(!may_take_over(&user_admin, &custom) && may_take_over(&holder(Holder::Owner, here), &custom));
}

#[test]
fn permissions_are_stored_and_read() {
    let permissions = pairs().collect::<BTreeSet<_>>();
    assert_eq!(of_stored(&stored(&permissions)).collect::<BTreeSet<_>>(), permissions);
    assert_eq!(of_stored(" moon:walk template:update planet").collect::<Vec<_>>(), [(Resource::Template, Update)]);
    assert_eq!(of_stored(&stored(&BTreeSet::new())).count(), 0);
}

#[test]
fn lists_reach_as_far_as_single_objects() {
    let (here, there) = (OrganizationId::new(), OrganizationId::new());
    assert_eq!(reach(&holder(Holder::TemplateAdmin, here), Read, Resource::Workspace), Reach::All);
    let ann = subject(&[], &[(here, &[OrganizationRole::Admin]), (there, &[])]);
    let expected = |whole: &[OrganizationId], own: &[OrganizationId]| Reach::Some {
        whole: whole.iter().copied().collect(),
        own: own.iter().copied().collect(),
        user: ann.user_id,
    };
    assert_eq!(reach(&ann, Read, Resource::Workspace), expected(&[here], &[here, there]));
    assert_eq!(reach(&ann, Read, Resource::User), expected(&[here], &[here, there]));
    assert_eq!(reach(&ann, Read, Resource::Template), expected(&[here, there], &[here, there]));
}
