use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::dispatch::testing;
use crate::domain::Timestamp;
use crate::domain::engine::Engine;
use crate::domain::id::{ProvisionerKeyId, ProvisionerKeySecretId};
use crate::domain::job::{Group, Slot};
use crate::domain::job::{LogBatch, LogLevel, LogSource};
use crate::domain::provisioner_key::KeyTags;
use crate::domain::tags::Tags;
use crate::service::provisioner_daemon::{DaemonQuery, DaemonStatus};
use crate::service::template::testing::violated;
use crate::service::testing::deployments;
use crate::store::Access as _;
use crate::store::dialect::Dialect;
use crate::store::entity::provisioner_daemon::Engines;
use crate::store::entity::{provisioner_key, provisioner_key_secret};
use crate::store::provisioner_daemon::Registration;

#[tokio::test]
async fn jobs_and_daemons_are_listed() {
    for (deployment, owner) in deployments().await {
        let ground = testing::ground(&deployment.store, "acme").await;
        let tags = |text: &str| Tags::of_key(&[("a b".to_owned(), text.to_owned())].into());
        let key_id = ProvisionerKeyId::new();
        let tx = deployment.store.begin().await.unwrap();
        let key = provisioner_key::Model {
            id: key_id,
            organization_id: ground.organization,
            name: "key".into(),
            tags: KeyTags::default(),
            description: String::new(),
            last_used_at: None,
            created_at: Timestamp(0),
        };
        let secret = provisioner_key_secret::Model {
            id: ProvisionerKeySecretId::new(),
            key_id,
            secret_sha256: vec![1],
            expires_at: None,
            revoked_at: None,
            created_at: Timestamp(0),
        };
        store::provisioner_key::insert(&tx, key, secret).await.unwrap();
        let registration = Registration {
            organization_id: ground.organization,
            key_id,
            name: "One".into(),
            instance_id: "i".into(),
            version: "1".into(),
            protocol_version: "1.0".into(),
            engines: Engines([Engine::Echo].into()),
            tags: tags("x"),
            capacity: 1,
        };
        let daemon = store::provisioner_daemon::upsert(&tx, registration.clone(), Duration::ZERO).await.unwrap();
        let again = Registration { name: "ONE".into(), ..registration };
        assert_eq!(store::provisioner_daemon::upsert(&tx, again, Duration::ZERO).await.unwrap().id, daemon.id);
        store::provisioner_daemon::touch(&tx, &[daemon.id]).await.unwrap();
        tx.commit().await.unwrap();

        let first = testing::build(&deployment.store, &ground, tags("x")).await;
        let second = testing::build(&deployment.store, &ground, tags("x")).await;
        let other = testing::build(&deployment.store, &ground, tags("y")).await;
        let all = JobQuery { organization: "acme".into(), ..JobQuery::default() };
        let list = async |query: JobQuery| {
            let jobs = deployment.job_list(&owner, query).await.unwrap();
            jobs.into_iter().map(|job| job.view.job.id).collect::<Vec<_>>()
        };
        assert_eq!(list(JobQuery { limit: 3, ..all.clone() }).await, [other, second, first]);
        let like_x = JobQuery { tags: [("a b".to_owned(), "x".to_owned())].into(), ..all.clone() };
        assert_eq!(list(like_x).await, [second, first]);
        let mut listed = deployment.job_list(&owner, JobQuery { limit: 3, ..all.clone() }).await.unwrap();
        let places: Vec<_> = listed.iter().map(|j| (j.view.standing.position, j.view.standing.size)).collect();
        assert_eq!(places, [(0, 0), (2, 2), (1, 2)]);
        let job = listed.remove(2);
        assert_eq!(job.view.matched.unwrap().daemons, [daemon.id]);
        assert_eq!(job.names.template_name, "template");

        let group = Group { organization: ground.organization, engine: Engine::Echo, tags: tags("x") };
        let slot = Slot { worker: daemon.id, worker_name: "one".into() };
        deployment.dispatcher.queue().claim(&group, &[slot]).await.unwrap();
        assert_eq!(list(JobQuery { statuses: vec![Status::Running], ..all.clone() }).await, [first]);
        assert_eq!(list(JobQuery { nothing: true, ..all.clone() }).await, []);
        let got = deployment.job_get(&owner, "acme", &first.to_string()).await.unwrap();
        assert_eq!(got.view.job.worker_id, Some(daemon.id));
        let elsewhere = deployment.job_get(&owner, "default", &first.to_string()).await;
        assert!(matches!(elsewhere, Err(Error::NotFound(Kind::Job))));
        for (limit, ids) in [(-1, vec!["x".to_owned()]), (1001, vec![first.to_string(); 101])] {
            let tags = (0..65).map(|n| (n.to_string(), "x".to_owned())).collect();
            let bad = JobQuery { limit, ids, initiator: "me".into(), tags, ..all.clone() };
            assert_eq!(violated(deployment.job_list(&owner, bad).await), ["limit", "ids", "tags", "initiator"]);
        }

        let query = DaemonQuery { organization: "acme".into(), max_age: "1h".into(), ..DaemonQuery::default() };
        let daemons = deployment.daemon_list(&owner, query.clone()).await.unwrap();
        assert_eq!(daemons.len(), 1);
        assert_eq!((daemons[0].status, daemons[0].key_name.as_str()), (DaemonStatus::Busy, "key"));
        assert_eq!(daemons[0].current.as_ref().unwrap().job.id, first);
        let idle = DaemonQuery { statuses: BTreeSet::from([DaemonStatus::Idle]), ..query.clone() };
        assert!(deployment.daemon_list(&owner, idle).await.unwrap().is_empty());
        let fitting = DaemonQuery { tags: [("z".to_owned(), "1".to_owned())].into(), ..query };
        assert!(deployment.daemon_list(&owner, fitting).await.unwrap().is_empty());
        let both = LogQuery { version: "a".to_owned(), build: "b".to_owned(), ..LogQuery::default() };
        let both = deployment.job_log(&owner, &both).await;
        assert!(matches!(both, Err(Error::Invalid(_))));
    }
}

#[tokio::test]
async fn a_log_grows_while_its_job_is_held() {
    for (deployment, owner) in deployments().await {
        if deployment.store.dialect() == Dialect::Sqlite {
            continue; // It has one writer.
        }
        let organization = deployment.organization(&owner, "data").await;
        let hold = deployment.claim(deployment.version(&owner, organization).await.version.job_id).await;
        let line = LogLine {
            time: Timestamp(0),
            source: LogSource::Engine,
            level: LogLevel::Info,
            stage: String::new(),
            output: "a line".to_owned(),
        };
        // As the reaper and results do: the job's row, then the log's head.
        let holder = deployment.store.begin().await.unwrap();
        store::job_queue::locked(&holder, hold.job).await.unwrap().unwrap();
        let writer = deployment.store.begin().await.unwrap();
        let batch = LogBatch { first_number: 1, lines: vec![line], overflowed: false };
        let appended = store::job_log::append(&writer, &hold, batch, 1000);
        let appended = tokio::time::timeout(std::time::Duration::from_secs(5), appended).await;
        assert_eq!(appended.expect("appending doesn't wait for the job's row").unwrap(), 1);
        writer.commit().await.unwrap();
    }
}
