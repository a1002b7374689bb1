//! How long a caller waits for an answer. The services are served without tonic's own server, which would watch this.

use std::time::Duration;

use http::HeaderMap;
use tonic::Status;

/// The `grpc-timeout` of a call: at most eight digits and a unit. Anything else is no deadline.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 60 * 60)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Waits for the head of an answer until the deadline; what is streamed after it takes as long as it takes.
pub(super) async fn within<T>(deadline: Option<Duration>, answer: impl Future<Output = T>) -> Result<T, Status> {
    let Some(deadline) = deadline else { return Ok(answer.await) };
    let late = |_| Status::deadline_exceeded("The call took longer than its deadline allows.");
    tokio::time::timeout(deadline, answer).await.map_err(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            of(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read("3M"), Some(Duration::from_secs(180)));
        assert_eq!(read("4S"), Some(Duration::from_secs(4)));
        assert_eq!(read("5m"), Some(Duration::from_millis(5)));
        assert_eq!(read("6u"), Some(Duration::from_micros(6)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for none in ["", "S", "1", "1s", "-1S", "+1S", "999999999S", "1 S", "1.5S"] {
            assert_eq!(read(none), None, "{none:?}");
        }
        assert_eq!(of(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn a_late_answer_is_not_waited_for() {
        let soon = Some(Duration::from_millis(1));
        let status = within(soon, std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(within(soon, async { 1 }).await.unwrap(), 1);
        assert_eq!(within(None, async { 1 }).await.unwrap(), 1);
    }
}
