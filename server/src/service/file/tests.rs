use futures_util::stream;

use super::*;
use crate::service::template::testing::{archive, upload, violated};
use crate::service::testing::{anonymous, deployments};

async fn count(deployment: &Service, table: &str) -> i64 {
    use crate::store::Access as _;
    let row = deployment.store.query_one(&format!("SELECT count(*) FROM {table}"), []).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn the_same_content_of_the_same_user_is_stored_once() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let member = deployment.member(&owner, "ann", organization).await;
        let bytes = archive(&"some lines\n".repeat(300_000));
        let (first, created) = upload(&deployment, &owner, &bytes).await.unwrap();
        assert!(created);
        assert_eq!(upload(&deployment, &owner, &bytes).await.unwrap(), (first.clone(), false));
        let (other, created) = upload(&deployment, &member, &bytes).await.unwrap();
        assert!(created && other != first);
        assert_eq!((count(&deployment, "blob").await, count(&deployment, "file").await), (1, 2));

        let file = store::file::find(&deployment.store, FileId::parse(&first).unwrap()).await.unwrap().unwrap();
        assert_eq!(file.sha256, store::blob::sha256(&bytes));
        let mut stored = Vec::new();
        while let Some(chunk) =
            store::blob::chunk(&deployment.store, &file.sha256, (stored.len() / store::blob::CHUNK) as i32)
                .await
                .unwrap()
        {
            stored.extend(chunk);
            if stored.len() == bytes.len() {
                break;
            }
        }
        assert!(stored == bytes);
    }
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    for (deployment, owner) in deployments().await {
        let good = archive("a");
        let refused = upload(&deployment, &owner, &good[..good.len() - 512]).await;
        assert_eq!(violated(refused), ["archive"]);
        assert_eq!(violated(upload(&deployment, &owner, b"").await), ["archive"]);
        let wrong_type = deployment.file_upload(&owner, "application/gzip", stream::iter([Ok(good.clone())])).await;
        assert_eq!(violated(wrong_type), ["content_type"]);
        let broken = stream::iter([Ok(good.clone()), Err(Error::invalid("data", "is cut"))]);
        assert_eq!(violated(deployment.file_upload(&owner, TAR, broken).await), ["data"]);

        let stranger = deployment
            .user_create(&owner, crate::service::testing::new_user("eve", deployment_default(&deployment).await))
            .await
            .unwrap();
        let mut stranger = deployment.caller(stranger.user.id).await;
        if let crate::service::Actor::User { subject, .. } = &mut stranger.actor {
            subject.organizations.clear();
        }
        assert!(matches!(upload(&deployment, &stranger, &good).await, Err(Error::Denied)));
        assert!(matches!(upload(&deployment, &anonymous(), &good).await, Err(Error::Unauthenticated(_))));
        assert_eq!((count(&deployment, "blob").await, count(&deployment, "file").await), (0, 0));
    }
}

#[tokio::test]
async fn a_user_has_so_many_transfers_at_a_time() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let member = deployment.member(&owner, "ann", organization).await;
        let good = archive("a");
        let (file, _) = upload(&deployment, &owner, &good).await.unwrap();
        let mut open: Vec<_> = Vec::new();
        for _ in 1..EACH {
            let mut one = Box::pin(deployment.file_upload(&owner, TAR, stream::pending()));
            assert!(futures_util::poll!(&mut one).is_pending());
            open.push(one);
        }
        let zip = deployment.file_download(&owner, &file, "zip").await.unwrap();
        let refused = |outcome: Option<Error>| matches!(outcome, Some(Error::TooMany { .. }));
        assert!(refused(upload(&deployment, &owner, &good).await.err()));
        assert!(refused(deployment.file_download(&owner, &file, "zip").await.err()));
        let _tar = deployment.file_download(&owner, &file, "tar").await.expect("takes no place on the disk");
        upload(&deployment, &member, &good).await.expect("somebody else's");
        drop(zip);
        upload(&deployment, &owner, &good).await.expect("one has ended");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_has_to_keep_coming_and_to_end() {
    let every = |pause: Duration| {
        Box::pin(stream::repeat(()).then(move |()| async move {
            tokio::time::sleep(pause).await;
            Ok(vec![7])
        }))
    };
    let (start, mut slow) = (Instant::now(), timely(every(IDLE * 2)));
    assert_eq!(violated(slow.next().await.unwrap()), ["data"]);
    assert!(slow.next().await.is_none());
    assert_eq!(start.elapsed(), IDLE);

    let (start, steady) = (Instant::now(), timely(every(IDLE / 2)));
    let pieces: Vec<_> = steady.collect().await;
    assert_eq!(start.elapsed(), LONGEST);
    let (last, before) = pieces.split_last().unwrap();
    assert!(last.is_err() && before.iter().all(Result::is_ok) && before.len() > 50);
}

async fn deployment_default(deployment: &Service) -> crate::domain::id::OrganizationId {
    store::organization::find_default(&deployment.store).await.unwrap().unwrap().id
}
