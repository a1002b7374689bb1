use super::*;
use crate::domain::job::{Discovery, Outcome, Status};
use crate::service::template::testing::{archive, new_template, new_version, upload, violated};
use crate::service::testing::deployments;

#[tokio::test]
async fn a_version_is_made_imported_and_made_a_template() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let admin = deployment.admin(&owner, "ada", organization).await;
        let (file, _) = upload(&deployment, &admin, &archive("a")).await.unwrap();
        let new = NewTemplateVersion {
            tags: [("env".to_owned(), "lab".to_owned())].into(),
            user_variable_values: vec![("region".into(), "north".into())],
            ..new_version(organization, &file)
        };
        let made = deployment.template_version_create(&admin, new.clone()).await.unwrap();
        assert_eq!(made.job.job.status, Status::Pending);
        assert_eq!(made.job.job.tags.to_string(), r#"{"env":"lab","owner":"","scope":"organization"}"#);
        assert!(!made.version.name.is_empty() && made.version.template_id.is_none());
        let id = made.version.id.to_string();
        let unknown = deployment.template_version_variables(&admin, &id).await;
        assert!(matches!(unknown, Err(Error::VariablesUnknown)));

        let hold = deployment.claim(made.version.job_id).await;
        let variable = |name: &str, sensitive| crate::domain::job::Variable {
            name: name.into(),
            description: String::new(),
            kind: "string".into(),
            default_value: "south".into(),
            required: false,
            sensitive,
        };
        let discovery =
            Discovery { readme: "# Hi".into(), variables: vec![variable("region", false), variable("token", true)] };
        let tx = deployment.store.begin().await.unwrap();
        store::job_queue::discovered(&tx, &hold, &discovery).await.unwrap();
        tx.commit().await.unwrap();
        deployment.finish(&hold, &crate::service::template::testing::report(Outcome::Succeeded)).await;

        let read = deployment.template_version_get(&admin, &id).await.unwrap();
        assert_eq!((read.version.readme.as_str(), read.job.job.status), ("# Hi", Status::Succeeded));
        let variables = deployment.template_version_variables(&admin, &id).await.unwrap();
        let values: Vec<_> = variables.iter().map(|v| (&*v.value, &*v.default_value)).collect();
        assert_eq!(values, [("north", "south"), (REDACTED, REDACTED)]);

        let template = deployment.template_create(&admin, new_template(organization, "k8s", &made)).await.unwrap();
        let again = deployment.template_create(&admin, new_template(organization, "other", &made)).await;
        assert_eq!(violated(again), ["template_version_id"]);
        assert_eq!(deployment.template_list(&admin, "", "").await.unwrap().len(), 1, "nothing was left behind");

        let second = NewTemplateVersion { template_id: template.template.id.to_string(), name: "v2".into(), ..new };
        deployment.template_version_create(&admin, second.clone()).await.unwrap();
        let taken = NewTemplateVersion { name: "V2".into(), ..second };
        let taken = deployment.template_version_create(&admin, taken).await;
        assert!(matches!(taken, Err(Error::AlreadyExists { kind: Kind::TemplateVersion, .. })));

        let template = template.template.id.to_string();
        let list = async |page, after: &str| {
            let versions = deployment.template_version_list(&admin, &template, page, after).await?;
            Ok::<_, Error>(versions.into_iter().map(|view| view.version.name).collect::<Vec<_>>())
        };
        let first = made.version.name.clone();
        assert_eq!(list((0, 0), "").await.unwrap(), [first.clone(), "v2".into()]);
        assert_eq!(list((0, 0), &id).await.unwrap(), ["v2"]);
        assert_eq!(list((1, 0), "").await.unwrap(), [first]);
        assert_eq!(list((0, 1), "").await.unwrap(), ["v2"]);
        assert_eq!(violated(list((-1, -1), "x").await), ["limit", "offset", "after_id"]);
        assert_eq!(violated(list((0, 0), &TemplateVersionId::new().to_string()).await), ["after_id"]);
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let wrong = NewTemplateVersion {
            organization: "data".into(),
            name: "a b".into(),
            message: "\0".into(),
            template_id: "x".into(),
            storage_method: "disk".into(),
            provisioner: "shell".into(),
            tags: [(String::new(), String::new())].into(),
            user_variable_values: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
            ..NewTemplateVersion::default()
        };
        let fields = violated(deployment.template_version_create(&owner, wrong).await);
        let expected = "name message template_id storage_method file_id provisioner tags user_variable_values";
        assert_eq!(fields.join(" "), expected);
        let value = |n: usize, value: &str| (n.to_string(), Secret::from(value));
        let many = (0..1001).map(|n| value(n, "")).collect();
        for values in [many, vec![value(0, &"v".repeat(512 * 1024))]] {
            let wrong = NewTemplateVersion { user_variable_values: values, ..new_version(organization, "") };
            let fields = violated(deployment.template_version_create(&owner, wrong).await);
            assert_eq!(fields, ["file_id", "user_variable_values"]);
        }
        let example = NewTemplateVersion { example_id: "docker".into(), ..new_version(organization, "") };
        assert_eq!(violated(deployment.template_version_create(&owner, example).await), ["example_id"]);
    }
}

#[tokio::test]
async fn a_waiting_import_is_canceled_at_once() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let id = deployment.version(&owner, organization).await.version.id.to_string();
        deployment.template_version_cancel(&owner, &id).await.unwrap();
        let status = deployment.template_version_get(&owner, &id).await.unwrap().job.job.status;
        assert_eq!(status, Status::Canceled);
        assert!(matches!(deployment.template_version_cancel(&owner, &id).await, Err(Error::JobEnded)));
        assert!(deployment.template_version_variables(&owner, &id).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn organizations_do_not_see_each_other() {
    for (deployment, owner) in deployments().await {
        let (here, there) =
            (deployment.organization(&owner, "here").await, deployment.organization(&owner, "there").await);
        let ada = deployment.admin(&owner, "ada", here).await;
        let bob = deployment.admin(&owner, "bob", there).await;
        let ann = deployment.member(&owner, "ann", here).await;
        let template = deployment.template(&ada, here, "k8s").await;
        let version = template.template.active_version_id.to_string();
        let id = template.template.id.to_string();

        assert!(matches!(deployment.template_version_get(&bob, &version).await, Err(Error::NotFound(_))));
        assert!(matches!(deployment.template_version_cancel(&bob, &version).await, Err(Error::NotFound(_))));
        assert!(matches!(deployment.template_version_variables(&bob, &version).await, Err(Error::NotFound(_))));
        assert!(matches!(deployment.template_get(&bob, &id).await, Err(Error::NotFound(_))));
        assert!(matches!(deployment.template_list(&bob, "here", "").await, Err(Error::NotFound(_))));
        assert!(deployment.template_list(&bob, "", "").await.unwrap().is_empty());
        assert_eq!(deployment.template_list(&owner, "", "").await.unwrap().len(), 1);
        assert_eq!(deployment.template_get_by_name(&ann, "here", "K8S").await.unwrap().template.name, "k8s");
        assert!(matches!(deployment.template_get_by_name(&ann, "here", "a\0").await, Err(Error::NotFound(_))));

        // Another organization's file, template and version can't be used.
        let (file, _) = upload(&deployment, &ada, &archive("a")).await.unwrap();
        let stolen = deployment.template_version_create(&bob, new_version(there, &file)).await;
        assert!(matches!(stolen, Err(Error::NotFound(Kind::File))));
        let (file, _) = upload(&deployment, &bob, &archive("a")).await.unwrap();
        let foreign = NewTemplateVersion { template_id: id.clone(), ..new_version(there, &file) };
        let foreign = deployment.template_version_create(&bob, foreign).await;
        assert!(matches!(foreign, Err(Error::NotFound(Kind::Template))));
        let unattached = deployment.version(&ada, here).await;
        let foreign = deployment.template_create(&bob, new_template(there, "mine", &unattached)).await;
        assert!(matches!(foreign, Err(Error::NotFound(Kind::TemplateVersion))));

        // Members read; only administrators write.
        let (file, _) = upload(&deployment, &ann, &archive("a")).await.unwrap();
        let denied = deployment.template_version_create(&ann, new_version(here, &file)).await;
        assert!(matches!(denied, Err(Error::Denied)));
        let denied = deployment.template_create(&ann, new_template(here, "mine", &unattached)).await;
        assert!(matches!(denied, Err(Error::Denied)));
        assert!(matches!(deployment.template_version_cancel(&ann, &version).await, Err(Error::Denied)));
    }
}

#[tokio::test]
async fn a_template_name_is_taken_once_and_wishes_that_are_not_served_are_named() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        deployment.template(&owner, organization, "k8s").await;
        let version = deployment.version(&owner, organization).await;
        let taken = deployment.template_create(&owner, new_template(organization, "K8s", &version)).await;
        assert!(matches!(taken, Err(Error::AlreadyExists { kind: Kind::Template, .. })));
        let wrong = crate::service::template::NewTemplate {
            name: "new".into(),
            display_name: " x".into(),
            description: "d".repeat(128),
            template_version_id: "?".into(),
            unsupported: vec!["default_ttl_ms"],
            ..new_template(organization, "", &version)
        };
        let fields = violated(deployment.template_create(&owner, wrong).await);
        assert_eq!(fields, ["name", "display_name", "description", "template_version_id", "default_ttl_ms"]);
    }
}

#[tokio::test]
async fn what_no_message_can_hold_fails_the_job() {
    use crate::dispatch::assignment::Assemble as _;
    use crate::domain::job::Claimed;
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let version = deployment.version(&owner, organization).await;
        let hold = deployment.claim(version.version.job_id).await;
        let variable = |name: &str| crate::domain::job::Variable {
            name: name.into(),
            description: String::new(),
            kind: "string".into(),
            default_value: "x".repeat(600 * 1024),
            required: false,
            sensitive: false,
        };
        let discovery = Discovery { readme: String::new(), variables: vec![variable("a"), variable("b")] };
        deployment.dispatcher.queue().discovered(&hold, &discovery).await.unwrap();
        deployment.finish(&hold, &crate::service::template::testing::report(Outcome::Succeeded)).await;
        let template = deployment.template_create(&owner, new_template(organization, "big", &version)).await.unwrap();
        let new = crate::service::template::testing::new_workspace(&template, "dev");
        let workspace = deployment.workspace_create(&owner, new).await.unwrap();
        let hold = deployment.claim(workspace.latest_build.build.job_id).await;
        let assembler =
            crate::service::assignment::Assembler::new(deployment.store.clone(), Default::default(), String::new());
        let claimed = Claimed { hold, worker: crate::domain::id::DaemonId::new(), attempt: 1 };
        let reason = assembler.assemble(&[claimed]).await.unwrap().remove(0).unwrap_err();
        assert!(reason.contains("1 MiB"), "{reason}");
    }
}
