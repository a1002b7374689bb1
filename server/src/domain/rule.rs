//! How rules about single members of a request are told, and collected so that a client hears of all at once.

use super::{Error, Result, Violation};

/// Whether a value keeps a rule; if not, the rule as a phrase that says how to.
pub type Rule = std::result::Result<(), &'static str>;

/// The rules that a request breaks.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Notes a rule if it is broken.
    pub fn check(&mut self, field: &str, rule: Rule) {
        if let Err(rule) = rule {
            self.add(field, rule);
        }
    }

    /// Notes a broken rule.
    pub fn add(&mut self, field: impl Into<String>, rule: impl Into<String>) {
        self.0.push(Violation::new(field, rule));
    }

    /// Ends the call if any rule is broken.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all of them.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}

/// Whether a character of a name or tag would not be seen, or would show the others in another order: control characters,
/// direction marks and overrides, zero-width spaces, byte order marks. Joiners are part of some scripts and stay.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
