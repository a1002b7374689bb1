use futures_util::TryStreamExt as _;
use tokio::task::JoinSet;

use super::*;
use crate::domain::error::ProtocolFault;
use crate::domain::job::{Outcome, Report, ResourceMetadata, StateReference};
use crate::domain::workspace::{BuildReason, Transition};
use crate::service::template::testing::{new_template, new_workspace, report, violated};
use crate::service::testing::deployments;
use crate::service::workspace::NewWorkspace;
use crate::store::Access as _;
use crate::store::dialect::Dialect;

fn request(workspace: &workspace::Model, transition: Transition) -> BuildRequest {
    BuildRequest { workspace: workspace.id.to_string(), transition: Some(transition), ..BuildRequest::default() }
}

#[tokio::test]
async fn a_workspace_starts_stops_and_is_deleted() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let ann = deployment.member(&owner, "ann", organization).await;
        let template = deployment.template(&owner, organization, "k8s").await;
        let made = deployment.workspace_create(&ann, new_workspace(&template, "dev")).await.unwrap();
        assert_eq!(made.latest_build.status(), Status::Pending);
        assert_eq!((made.latest_build.build.build_number, made.latest_build.version_name.as_str()), (1, ""));
        let workspace = made.workspace;
        let id = workspace.id.to_string();

        let hold = deployment.claim(made.latest_build.build.job_id).await;
        let read = deployment.workspace_get(&ann, &id, false).await.unwrap();
        assert_eq!(read.latest_build.status(), Status::Starting);
        assert!(!read.latest_build.version_name.is_empty());
        let state = br#"{"version":4}"#;
        let sha256 = deployment.uploaded(&hold, state).await;
        let metadata = |key: &str, sensitive| ResourceMetadata { key: key.into(), value: "secret".into(), sensitive };
        let resource = crate::domain::job::Resource {
            transition: Transition::Start,
            kind: "terraform_data".into(),
            name: "vm".into(),
            address: "terraform_data.vm".into(),
            module_path: String::new(),
            hide: false,
            icon: String::new(),
            daily_cost: 1,
            metadata: vec![metadata("zone", false), metadata("token", true)],
        };
        let reference = StateReference { lineage: "l".into(), serial: 1, sha256 };
        let done = Report { state: Some(reference), resources: vec![resource], ..report(Outcome::Succeeded) };
        deployment.finish(&hold, &done).await;
        let read = deployment.workspace_get(&ann, &id, false).await.unwrap();
        assert_eq!(read.latest_build.status(), Status::Running);
        let values: Vec<_> = read.latest_build.resources[0].metadata.iter().map(|item| item.value.as_str()).collect();
        assert_eq!(values, ["secret", ""]);
        let build_id = read.latest_build.build.id.to_string();
        assert_eq!(deployment.build_resources(&ann, &build_id).await.unwrap().len(), 1);

        // The state is for those who may update the template.
        let hidden = deployment.build_state(&ann, &build_id, false).await;
        assert!(matches!(hidden.err(), Some(Error::NotFound(Kind::Build))));
        let pieces: Vec<Vec<u8>> =
            deployment.build_state(&owner, &build_id, false).await.unwrap().try_collect().await.unwrap();
        assert_eq!(pieces.concat(), state);

        let stop = deployment.build_create(&ann, request(&workspace, Transition::Stop)).await.unwrap();
        assert_eq!((stop.build.build_number, stop.build.state_serial), (2, 1));
        let pieces: Vec<Vec<u8>> = deployment
            .build_state(&owner, &stop.build.id.to_string(), false)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(pieces.concat(), state, "a build starts from the state before it");
        let busy = deployment.build_create(&ann, request(&workspace, Transition::Start)).await;
        assert!(matches!(busy, Err(Error::BuildActive(_))));
        deployment.end(stop.build.job_id, Outcome::Succeeded).await;

        let delete = deployment.build_create(&ann, request(&workspace, Transition::Delete)).await.unwrap();
        deployment.end(delete.build.job_id, Outcome::Succeeded).await;
        assert!(matches!(deployment.workspace_get(&ann, &id, false).await, Err(Error::WorkspaceGone)));
        let gone = deployment.workspace_get(&ann, &id, true).await.unwrap();
        assert_eq!(gone.latest_build.status(), Status::Deleted);
        let late = deployment.build_create(&ann, request(&workspace, Transition::Start)).await;
        assert!(matches!(late, Err(Error::WorkspaceDeleted)));

        // The name is free again; the live one is found first.
        let missing = deployment.workspace_get_by_name(&ann, "me", "DEV", false).await;
        assert!(matches!(missing, Err(Error::NotFound(Kind::Workspace))));
        assert_eq!(deployment.workspace_get_by_name(&ann, "me", "dev", true).await.unwrap().workspace.id, workspace.id);
        let second = deployment.workspace_create(&ann, new_workspace(&template, "Dev")).await.unwrap();
        let found = deployment.workspace_get_by_name(&ann, "ann", "dev", true).await.unwrap();
        assert_eq!(found.workspace.id, second.workspace.id);

        let numbers = async |page, after: &str, since| {
            let builds = deployment.build_list(&ann, &id, page, after, since).await?;
            Ok::<_, Error>(builds.into_iter().map(|view| view.build.build_number).collect::<Vec<_>>())
        };
        assert_eq!(numbers((0, 0), "", None).await.unwrap(), [3, 2, 1]);
        assert_eq!(numbers((1, 1), "", None).await.unwrap(), [2]);
        assert_eq!(numbers((0, 0), &delete.build.id.to_string(), None).await.unwrap(), [2, 1]);
        assert_eq!(numbers((0, 0), "", Some(stop.build.created_at)).await.unwrap(), [3]);
        assert_eq!(violated(numbers((-1, 0), &BuildId::new().to_string(), None).await), ["limit", "after_id"]);
        let first = deployment.build_get_by_number(&ann, "me", "dev", 1).await.unwrap();
        assert_eq!(first.build.workspace_id, second.workspace.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_builds_asked_for_at_once_one_is_queued() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let ann = deployment.member(&owner, "ann", organization).await;
        let template = deployment.template(&owner, organization, "k8s").await;
        let workspace = deployment.workspace(&ann, &template, "dev").await.workspace;
        let mut race = JoinSet::new();
        for _ in 0..8 {
            let (service, ann, asked) =
                (deployment.service.clone(), ann.clone(), request(&workspace, Transition::Stop));
            race.spawn(async move { service.build_create(&ann, asked).await });
        }
        let results = race.join_all().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        for result in results {
            assert!(matches!(result, Ok(_) | Err(Error::BuildActive(_))), "{result:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_starts_from_the_state_that_the_one_before_is_just_handing_in() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let template = deployment.template(&owner, organization, "k8s").await;
        let made = deployment.workspace_create(&owner, new_workspace(&template, "dev")).await.unwrap();
        let hold = deployment.claim(made.latest_build.build.job_id).await;
        let sha256 = deployment.uploaded(&hold, b"{}").await;
        let reference = StateReference { lineage: "l".into(), serial: 7, sha256 };
        let done = Report { state: Some(reference), ..report(Outcome::Failed) };
        let finishing = deployment.store.begin().await.unwrap();
        if deployment.store.dialect() == Dialect::Postgres {
            // So that the end comes between the reading of the build and of its job.
            finishing.execute("LOCK TABLE provisioner_job IN ACCESS EXCLUSIVE MODE", []).await.unwrap();
        }
        let terms = (&deployment.provisioners).into();
        store::job_queue::finish(&finishing, &hold, &done, terms).await.unwrap();

        let service = deployment.service.clone();
        let asked = request(&made.workspace, Transition::Delete);
        let mut next = tokio::spawn(async move { service.build_create(&owner, asked).await });
        let early = tokio::time::timeout(std::time::Duration::from_millis(200), &mut next).await;
        assert!(early.is_err(), "a build waits for the end of the one before: {early:?}");
        finishing.commit().await.unwrap();
        let next = next.await.unwrap().unwrap();
        assert_eq!((next.build.build_number, next.build.state_serial), (2, 7));
        assert!(next.build.state_sha256.is_some());
    }
}

#[tokio::test]
async fn a_job_cannot_have_what_another_uploaded() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let template = deployment.template(&owner, organization, "k8s").await;
        let one = deployment.workspace_create(&owner, new_workspace(&template, "one")).await.unwrap();
        let one = deployment.claim(one.latest_build.build.job_id).await;
        let sha256 = deployment.uploaded(&one, b"secrets").await;
        let other = deployment.workspace_create(&owner, new_workspace(&template, "other")).await.unwrap();
        let other = deployment.claim(other.latest_build.build.job_id).await;
        let state = StateReference { lineage: "l".into(), serial: 1, sha256 };
        let missing = |result| matches!(result, Err(Error::Protocol(ProtocolFault::MissingBytes(_))));
        let queue = deployment.dispatcher.queue();
        assert!(missing(queue.checkpoint(&other, &state).await));
        assert_eq!(queue.checkpoint(&one, &state).await.unwrap(), 1);
        // What a build starts from is its own as well.
        let again = StateReference { serial: 2, ..state };
        deployment.finish(&one, &Report { state: Some(again.clone()), ..report(Outcome::Succeeded) }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_workspaces_of_one_name_at_once_one_is_made() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let ann = deployment.member(&owner, "ann", organization).await;
        let template = deployment.template(&owner, organization, "k8s").await;
        let mut race = JoinSet::new();
        for _ in 0..6 {
            let (service, ann, new) = (deployment.service.clone(), ann.clone(), new_workspace(&template, "dev"));
            race.spawn(async move { service.workspace_create(&ann, new).await });
        }
        let results = race.join_all().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        for result in results {
            assert!(matches!(result, Ok(_) | Err(Error::AlreadyExists { .. })), "{result:?}");
        }
    }
}

#[tokio::test]
async fn only_imported_versions_of_the_template_are_built_from() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let ann = deployment.member(&owner, "ann", organization).await;
        let version = deployment.version(&owner, organization).await;
        let template = deployment.template_create(&owner, new_template(organization, "late", &version)).await.unwrap();
        let early = deployment.workspace_create(&ann, new_workspace(&template, "dev")).await;
        assert!(matches!(early, Err(Error::ImportUnfinished)));
        deployment.end(version.version.job_id, Outcome::Failed).await;
        let failed = deployment.workspace_create(&ann, new_workspace(&template, "dev")).await;
        assert_eq!(violated(failed), ["template_version_id"]);

        let template = deployment.template(&owner, organization, "k8s").await;
        let loose = deployment.version(&owner, organization).await;
        deployment.end(loose.version.job_id, Outcome::Succeeded).await;
        let mut new = new_workspace(&template, "dev");
        new.template_version_id = loose.version.id.to_string();
        assert_eq!(violated(deployment.workspace_create(&ann, new.clone()).await), ["template_id"]);
        new.template_id.clear();
        assert_eq!(violated(deployment.workspace_create(&ann, new).await), ["template_version_id"]);

        let workspace = deployment.workspace(&ann, &template, "dev").await.workspace;
        let mut asked = request(&workspace, Transition::Start);
        asked.template_version_id = version.version.id.to_string();
        assert_eq!(violated(deployment.build_create(&ann, asked).await), ["template_version_id"]);
    }
}

#[tokio::test]
async fn wishes_that_are_wrong_or_not_served_are_named_at_once() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let ann = deployment.member(&owner, "ann", organization).await;
        let wrong = NewWorkspace {
            user: "me".into(),
            name: "a b".into(),
            parameters: vec!["size".into()],
            autostart_schedule: "daily".into(),
            ttl_ms: 1,
            automatic_updates: "always".into(),
            ..NewWorkspace::default()
        };
        let fields = violated(deployment.workspace_create(&ann, wrong).await);
        let expected = "name template_id rich_parameter_values autostart_schedule ttl_ms automatic_updates";
        assert_eq!(fields.join(" "), expected);

        let template = deployment.template(&owner, organization, "k8s").await;
        let workspace = deployment.workspace(&ann, &template, "dev").await.workspace;
        let wrong = BuildRequest {
            workspace: workspace.id.to_string(),
            template_version_id: "x".into(),
            parameters: vec!["size".into()],
            reason: Some(BuildReason::Autostart),
            unsupported: vec!["orphan"],
            ..BuildRequest::default()
        };
        let fields = violated(deployment.build_create(&ann, wrong).await);
        assert_eq!(fields, ["transition", "template_version_id", "rich_parameter_values", "reason", "orphan"]);
    }
}

#[tokio::test]
async fn who_may_cancel_a_build_and_in_which_status() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let ann = deployment.member(&owner, "ann", organization).await;
        let template = deployment.template(&owner, organization, "k8s").await;
        let made = deployment.workspace_create(&ann, new_workspace(&template, "dev")).await.unwrap();
        let id = made.latest_build.build.id.to_string();
        assert_eq!(violated(deployment.build_cancel(&ann, &id, "done").await), ["expect_status"]);
        // The template doesn't let its users cancel, but what nobody has begun may be taken back.
        assert!(matches!(deployment.build_cancel(&ann, &id, "").await, Err(Error::Denied)));
        let mismatch = deployment.build_cancel(&owner, &id, "running").await;
        assert!(matches!(mismatch, Err(Error::StatusMismatch { expected: "running", actual: "pending" })));
        deployment.build_cancel(&ann, &id, "pending").await.unwrap();
        assert_eq!(deployment.build_get(&ann, &id).await.unwrap().status(), Status::Canceled);
        assert!(matches!(deployment.build_cancel(&owner, &id, "").await, Err(Error::JobEnded)));

        let next = deployment.build_create(&ann, request(&made.workspace, Transition::Start)).await.unwrap();
        deployment.claim(next.build.job_id).await;
        deployment.build_cancel(&owner, &next.build.id.to_string(), "running").await.unwrap();
        let status = deployment.build_get(&ann, &next.build.id.to_string()).await.unwrap().status();
        assert_eq!(status, Status::Canceling);
    }
}

#[tokio::test]
async fn workspaces_are_their_owners_and_their_administrators() {
    for (deployment, owner) in deployments().await {
        let (here, there) =
            (deployment.organization(&owner, "here").await, deployment.organization(&owner, "there").await);
        let ada = deployment.admin(&owner, "ada", here).await;
        let ann = deployment.member(&owner, "ann", here).await;
        let bea = deployment.member(&owner, "bea", here).await;
        let bob = deployment.admin(&owner, "bob", there).await;
        let template = deployment.template(&ada, here, "k8s").await;
        let workspace = deployment.workspace(&ann, &template, "dev").await;
        let (id, build) = (workspace.workspace.id.to_string(), workspace.latest_build.build.id.to_string());
        for stranger in [&bea, &bob] {
            assert!(matches!(deployment.workspace_get(stranger, &id, true).await, Err(Error::NotFound(_))));
            assert!(matches!(
                deployment.workspace_get_by_name(stranger, "ann", "dev", true).await,
                Err(Error::NotFound(_))
            ));
            assert!(matches!(deployment.build_get(stranger, &build).await, Err(Error::NotFound(_))));
            assert!(matches!(deployment.build_list(stranger, &id, (0, 0), "", None).await, Err(Error::NotFound(_))));
            assert!(matches!(deployment.build_cancel(stranger, &build, "").await, Err(Error::NotFound(_))));
            assert!(matches!(deployment.build_resources(stranger, &build).await, Err(Error::NotFound(_))));
            assert!(deployment.build_state(stranger, &build, false).await.is_err());
            let asked = request(&workspace.workspace, Transition::Delete);
            assert!(matches!(deployment.build_create(stranger, asked).await, Err(Error::NotFound(_))));
        }
        assert!(deployment.workspace_get(&ada, &id, false).await.is_ok());

        let for_ann = |caller: Caller| {
            let new = NewWorkspace { user: "ann".into(), ..new_workspace(&template, "other") };
            let service = deployment.service.clone();
            async move { service.workspace_create(&caller, new).await }
        };
        assert!(matches!(for_ann(bea.clone()).await, Err(Error::Denied)));
        assert!(matches!(for_ann(bob.clone()).await, Err(Error::NotFound(_))));
        assert_eq!(for_ann(ada.clone()).await.unwrap().owner.username, "ann");
        let outsider = NewWorkspace { user: "bob".into(), ..new_workspace(&template, "other") };
        assert_eq!(violated(deployment.workspace_create(&ada, outsider).await), ["user"]);
        let elsewhere = NewWorkspace { organization: "there".into(), ..new_workspace(&template, "x") };
        assert!(matches!(deployment.workspace_create(&owner, elsewhere).await, Err(Error::NotFound(_))));
    }
}
