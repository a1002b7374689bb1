//! Points in time as the database keeps them.

use std::time::Duration;

use sea_orm::DeriveValueType;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This much later; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// This much earlier; stays at the beginning of time instead of wrapping.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// Of an RFC 3339 text; beyond what a column holds, the nearest that it does.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The parser takes a date alone, and a time without its zone.
        let (_, time) = text.split_once('T')?;
        if !time.contains(['Z', '+', '-']) {
            return None;
        }
        let time: prost_types::Timestamp = text.parse().ok()?;
        Some(Self(time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1000)))
    }

    /// The beginning of a day such as `2026-12-31`, in UTC.
    #[must_use]
    pub fn of_day(text: &str) -> Option<Self> {
        let is_digit = |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
        let fits = text.len() == 10 && text.bytes().enumerate().all(is_digit);
        let time: prost_types::Timestamp = fits.then(|| format!("{text}T00:00:00Z").parse().ok()).flatten()?;
        Some(Self(time.seconds.checked_mul(1_000_000)?))
    }

    /// How long ago `earlier` was; zero when it wasn't.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::fmt::Display for Timestamp {
    /// To the second, in UTC.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        prost_types::Timestamp { seconds: self.0.div_euclid(1_000_000), nanos: 0 }.fmt(f)
    }
}

/// A duration in the unit of the columns.
#[must_use]
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
