//! How often something may be done. Pure: the time comes from outside, as what has passed since some beginning.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// What is remembered of many, bounded: what wasn't asked for longest is forgotten first. It is forgotten by halves, so
/// that nothing has to be searched for it.
#[derive(Debug)]
pub struct Recent<K, V> {
    half: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Clone, V: Default> Recent<K, V> {
    /// Remembers at most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { half: (most / 2).max(1), young: HashMap::new(), old: HashMap::new() }
    }

    /// What is remembered of one; what isn't begins anew.
    pub fn of(&mut self, key: K) -> &mut V {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key).unwrap_or_default();
            if self.young.len() >= self.half {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(key.clone(), value);
        }
        self.young.entry(key).or_default()
    }

    /// What is remembered of one, which makes nothing known.
    #[must_use]
    pub fn known(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Forgets one.
    pub fn forget(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

/// How much of a rate is used up: as many calls at once as a minute has, and then as they become free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// When nothing of it is used up any more.
    until: Duration,
}

impl Used {
    /// Uses up one call.
    ///
    /// # Errors
    /// How long to wait for it.
    pub fn take(&mut self, now: Duration, per_minute: u32) -> Result<(), Duration> {
        let until = self.until.max(now) + MINUTE / per_minute.max(1);
        match until.checked_sub(now + MINUTE).filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(wait),
            None => {
                self.until = until;
                Ok(())
            }
        }
    }
}

/// Failed sign-ins to one account from one address. The first few cost nothing; then each makes the wait longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    count: u32,
    last: Duration,
}

impl Failures {
    /// Failures that cost nothing.
    pub const FREE: u32 = 5;
    /// The wait after the first that does; it doubles with each.
    const FIRST_WAIT: Duration = Duration::from_secs(5);
    /// No wait is longer.
    const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
    /// Without another failure for so long, they are forgotten.
    const MEMORY: Duration = Duration::from_secs(15 * 60);

    /// How long to wait before the next try.
    #[must_use]
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        let over = self.count.checked_sub(Self::FREE)?;
        let wait = Self::FIRST_WAIT.saturating_mul(1 << over.min(16)).min(Self::LONGEST_WAIT);
        (self.last + wait).checked_sub(now).filter(|wait| !wait.is_zero())
    }

    /// Another one.
    pub fn add(&mut self, now: Duration) {
        let recent = now.saturating_sub(self.last) < Self::MEMORY;
        *self = Self { count: if recent { self.count.saturating_add(1) } else { 1 }, last: now };
    }
}

/// What counts as one address: who has an address of IPv6 has 2^64 of them.
#[must_use]
pub fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_minutes_worth_at_once_and_then_as_it_becomes_free() {
        let mut used = Used::default();
        let start = seconds(1000);
        for number in 0..60 {
            assert_eq!(used.take(start, 60), Ok(()), "{number}");
        }
        assert_eq!(used.take(start, 60), Err(seconds(1)));
        assert_eq!(used.take(start, 60), Err(seconds(1)), "a refusal uses nothing up");
        assert_eq!(used.take(start + seconds(1), 60), Ok(()));
        assert!(used.take(start + seconds(1), 60).is_err());
        for number in 0..60 {
            assert_eq!(used.take(start + seconds(100), 60), Ok(()), "{number}");
        }
        assert!(used.take(start + seconds(100), 60).is_err(), "no more than a minute's worth is saved up");
    }

    #[test]
    fn failures_make_the_wait_longer_and_are_forgotten() {
        let mut failures = Failures::default();
        let mut now = seconds(1000);
        for number in 0..Failures::FREE {
            assert_eq!(failures.wait(now), None, "{number}");
            failures.add(now);
        }
        let mut waits = Vec::new();
        for _ in 0..9 {
            let wait = failures.wait(now).unwrap();
            waits.push(wait.as_secs());
            assert_eq!(failures.wait(now + wait - seconds(1)), Some(seconds(1)));
            assert_eq!(failures.wait(now + wait), None);
            now += wait;
            failures.add(now);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        now += Failures::MEMORY;
        failures.add(now);
        assert_eq!(failures.wait(now), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_used_stays() {
        let mut recent = Recent::<u32, u32>::new(100);
        *recent.of(0) = 7;
        for key in 1..10_000 {
            recent.of(key);
            assert_eq!(*recent.of(0), 7, "{key}");
            assert!(recent.young.len() + recent.old.len() <= 101, "{key}");
        }
        assert_eq!((recent.known(&9_999), recent.known(&1)), (Some(&0), None));
        recent.forget(&0);
        assert_eq!(recent.known(&0), None);
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let of = |text: &str| place(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
