//! The search language of lists: `key:value` terms and bare words, which are together one value of a default key.

use super::Timestamp;
use super::rule::Violations;

/// Longer searches aren't read.
const LONGEST: usize = 4096;

/// A search that was read; keys are taken out one by one, and what is left over is unknown.
#[derive(Debug, Default)]
pub struct Search {
    bare: Vec<String>,
    terms: Vec<(String, String)>,
}

impl Search {
    /// Reads a search. Case doesn't count; text within double quotes keeps its spaces and colons.
    #[must_use]
    pub fn parse(text: &str, violations: &mut Violations) -> Self {
        let mut search = Self::default();
        if text.len() > LONGEST || text.contains('\0') {
            violations.add("q", format!("must be at most {LONGEST} bytes, without NUL characters"));
            return search;
        }
        for word in words(&text.to_lowercase()) {
            let parts = split_outside_quotes(&word, ':');
            match parts.as_slice() {
                [bare] => search.bare.push(unquoted(bare)),
                [key, value] if !key.is_empty() && !value.is_empty() => {
                    search.terms.push((unquoted(key), unquoted(value)));
                }
                [_, _] => violations.add("q", format!("{word:?} must have a key and a value around its colon")),
                _ => violations.add("q", format!("{word:?} has several colons; put a value with colons in quotes")),
            }
        }
        search
    }

    /// The bare words, with spaces between them; empty without any.
    #[must_use]
    pub fn bare(&mut self) -> String {
        std::mem::take(&mut self.bare).join(" ")
    }

    /// The values of a key that may be repeated and holds comma-separated lists.
    #[must_use]
    pub fn all(&mut self, key: &str) -> Vec<String> {
        let taken: Vec<_> = self.terms.extract_if(.., |(name, _)| name == key).collect();
        let values = taken.iter().flat_map(|(_, value)| value.split(','));
        values.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect()
    }

    /// The value of a key that may be given once.
    #[must_use]
    pub fn one(&mut self, key: &str, violations: &mut Violations) -> Option<String> {
        let mut taken: Vec<_> = self.terms.extract_if(.., |(name, _)| name == key).collect();
        if taken.len() > 1 {
            violations.add(key, "must be given once");
        }
        taken.pop().map(|(_, value)| value)
    }

    /// The value of a key that is `true` or `false`.
    #[must_use]
    pub fn flag(&mut self, key: &str, violations: &mut Violations) -> Option<bool> {
        match self.one(key, violations)?.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => {
                violations.add(key, "must be `true` or `false`");
                None
            }
        }
    }

    /// The value of a key that is a time.
    #[must_use]
    pub fn time(&mut self, key: &str, violations: &mut Violations) -> Option<Timestamp> {
        let time = self.one(key, violations).map(|text| Timestamp::parse(&text.to_uppercase()));
        if time == Some(None) {
            violations.add(key, "must be an RFC 3339 time in quotes, such as \"2026-01-31T00:00:00Z\"");
        }
        time.flatten()
    }

    /// Notes the keys that nobody took.
    pub fn finish(self, violations: &mut Violations) {
        for (key, _) in self.terms {
            violations.add(key, "isn't a key of this search, or not one that this server supports yet");
        }
    }
}

fn words(text: &str) -> Vec<String> {
    split_outside_quotes(text, ' ').into_iter().filter(|word| !word.is_empty()).collect()
}

fn split_outside_quotes(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        if c == at && !quoted {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn unquoted(text: &str) -> String {
    text.replace('"', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Search, Vec<String>) {
        let mut violations = Violations::default();
        let search = Search::parse(text, &mut violations);
        let broken = match violations.finish() {
            Err(crate::domain::Error::Invalid(broken)) => broken.into_iter().map(|one| one.field).collect(),
            _ => Vec::new(),
        };
        (search, broken)
    }

    #[test]
    fn terms_and_bare_words() {
        let (mut search, broken) = read("  Hello owner:Me \"two words\" name:\"a: b\" status:running,Failed status:x ");
        assert!(broken.is_empty());
        assert_eq!(search.bare(), "hello two words");
        let mut violations = Violations::default();
        assert_eq!(search.one("owner", &mut violations).as_deref(), Some("me"));
        assert_eq!(search.one("name", &mut violations).as_deref(), Some("a: b"));
        assert_eq!(search.all("status"), ["running", "failed", "x"]);
        assert_eq!(search.one("none", &mut violations), None);
        search.finish(&mut violations);
        assert!(violations.finish().is_ok());
    }

    #[test]
    fn times_have_a_zone_and_a_time_of_day() {
        let read = |text: &str| {
            let mut violations = Violations::default();
            let mut search = Search::parse(&format!("at:\"{text}\""), &mut violations);
            (search.time("at", &mut violations), violations.finish().is_ok())
        };
        assert_eq!(read("1970-01-01T00:00:01Z"), (Some(Timestamp(1_000_000)), true));
        assert_eq!(read("1970-01-01t02:00:00.5+02:00"), (Some(Timestamp(500_000)), true));
        for bad in ["1970-01-01", "1970-01-01T00:00:01", "yesterday", "1"] {
            assert_eq!(read(bad), (None, false), "{bad}");
        }
    }

    #[test]
    fn broken_searches_are_named() {
        for text in ["a:", ":a", "a:b:c", ":", "::", &"x".repeat(LONGEST + 1), "a\0"] {
            assert_eq!(read(text).1, ["q"], "{text:?}");
        }
        let (mut search, _) = read("color:red owner:a owner:b deleted:maybe");
        let mut violations = Violations::default();
        let _ = (search.one("owner", &mut violations), search.flag("deleted", &mut violations));
        search.finish(&mut violations);
        let Err(crate::domain::Error::Invalid(broken)) = violations.finish() else { panic!("nothing broken") };
        assert_eq!(broken.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["owner", "deleted", "color"]);
    }
}
