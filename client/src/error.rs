//! Why there is no connection.

/// A setting breaks its rule.
#[derive(Debug, thiserror::Error)]
#[error("{flag}: {rule}")]
pub struct Setting {
    /// The flag or environment variable.
    pub flag: &'static str,
    /// What is wrong, and what to do. Secrets aren't repeated.
    pub rule: String,
}

impl Setting {
    pub(crate) fn new(flag: &'static str, rule: impl Into<String>) -> Self {
        Self { flag, rule: rule.into() }
    }
}

/// There is no connection now; another attempt may succeed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// A failure on the way that is known so well that nothing else needs to be said.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(pub(crate) String);

/// An error with all that caused it, each said once. Where a cause is one that this crate knows, only that one.
#[must_use]
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(fault) = cause.downcast_ref::<Fault>() {
            return fault.0.clone();
        }
        let said = cause.to_string();
        if !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        // An I/O error keeps its cause to itself.
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| cause.source());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_fault_says_it_all() {
        let inner = std::io::Error::other(Fault("the cause".to_owned()));
        assert_eq!(causes(&std::io::Error::other(inner)), "the cause");
        assert_eq!(causes(&std::io::Error::other("x")), "x");
    }
}
