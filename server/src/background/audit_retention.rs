//! Forgets entries of the audit log that are older than the operator wants to keep.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ticks::Ticks;
use crate::domain::Result;
use crate::domain::error::chain;
use crate::store::{self, Store};

const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Entries that one transaction deletes.
const AT_ONCE: u32 = 1000;

/// Runs until stopped.
pub async fn run(store: Store, retention: Duration, stop: CancellationToken) {
    let mut ticks = Ticks::new(INTERVAL, stop.clone());
    while ticks.next().await {
        if let Err(error) = pass(&store, retention, &stop).await {
            tracing::warn!(error = %chain(&error), "can't delete old entries of the audit log now");
        }
    }
}

/// Deletes all that are too old by the database's time, some at a time, so that others get their turn.
pub(super) async fn pass(store: &Store, retention: Duration, stop: &CancellationToken) -> Result<()> {
    let before = store.now().await?.minus(retention);
    while !stop.is_cancelled() {
        let tx = store.begin().await?;
        let deleted = store::audit_log::delete_before(&tx, before, AT_ONCE).await?;
        tx.commit().await?;
        if deleted < u64::from(AT_ONCE) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::id::AuditId;
    use crate::store::audit_log::Filter;
    use crate::store::entity::audit_log;
    use crate::store::testing::stores;

    #[tokio::test]
    async fn what_is_too_old_goes_and_the_rest_stays() {
        const OLD: u32 = 2500;
        for store in stores().await {
            let tx = store.begin().await.unwrap();
            let now = store::now(&tx).await.unwrap();
            let day = Duration::from_secs(24 * 60 * 60);
            for age in (0..OLD).map(|_| day * 31).chain([day * 29, Duration::ZERO]) {
                let entry = audit_log::Model {
                    id: AuditId::new(),
                    time: now.minus(age),
                    request_id: Uuid::now_v7(),
                    user_id: None,
                    organization_id: None,
                    ip: String::new(),
                    user_agent: String::new(),
                    action: "login".to_owned(),
                    resource_type: "api_key".to_owned(),
                    resource_id: None,
                    resource_target: String::new(),
                    resource_icon: String::new(),
                    outcome: String::new(),
                    diff: "{}".to_owned(),
                    additional_fields: "{}".to_owned(),
                };
                store::audit_log::insert(&tx, entry).await.unwrap();
            }
            tx.commit().await.unwrap();
            pass(&store, day * 30, &CancellationToken::new()).await.unwrap();
            let left = store::audit_log::count(&*store, &Filter::default(), 100).await.unwrap();
            assert_eq!(left, 2);
        }
    }
}
