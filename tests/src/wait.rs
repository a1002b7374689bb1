//! Waiting for conditions, with deadlines.

use std::time::{Duration, Instant};

/// Long enough for anything that takes no work to speak of, on a busy machine.
pub const SHORT: Duration = Duration::from_secs(20);

/// Long enough for a Terraform run on a busy machine.
pub const LONG: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(25);

/// Asks until the answer is there.
///
/// # Panics
/// When it isn't within `patience`; `what` says what was waited for.
pub async fn eventually<T, F>(what: &str, patience: Duration, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
