//! Takes sensitive values out of lines, also where a value goes over the border of two of them: an engine ends a line
//! after a while of silence, wherever the program that it runs is.

use std::collections::BTreeMap;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Shorter values are not masked: they would make any log unreadable. So much of a value may show at a border.
const MIN_SECRET: usize = 4;
/// Shorter parts of an encoded value would be found everywhere.
const MIN_ENCODED: usize = 6;
/// At a border no more than this of a value is looked for.
const MAX_BORDER: usize = 4096;
/// Speakers whose last line is remembered.
const MAX_SPEAKERS: usize = 64;
pub(super) const MASK: &str = "(sensitive value)";

/// What may not be shown, and which of it the last lines ended within.
#[derive(Default)]
pub(super) struct Masker {
    needles: Vec<String>,
    /// By speaker: a needle's index, and how much of it was said.
    open: BTreeMap<String, Vec<(usize, usize)>>,
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masker").field("needles", &self.needles.len()).finish_non_exhaustive()
    }
}

impl Masker {
    /// Masks these from now on: each line of a longer text by itself, and the forms in which templates pass values on.
    pub(super) fn add(&mut self, values: &[String]) {
        for value in values {
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= MIN_SECRET).map(str::to_owned);
            self.needles.extend(lines);
            if value.len() >= MIN_SECRET {
                self.needles.extend(escaped(value));
                let parts = encoded(value.as_bytes()).into_iter().filter(|text| text.len() >= MIN_ENCODED);
                self.needles.extend(parts.flat_map(|text| [text.replace('+', "-").replace('/', "_"), text]));
            }
        }
        self.needles.sort_unstable();
        self.needles.dedup();
        // Their indices have changed.
        self.open.clear();
    }

    /// A text by itself.
    pub(super) fn text(&self, text: &str) -> String {
        replaced(text, self.found(text))
    }

    /// The next line of a log.
    pub(super) fn line(&mut self, text: &str) -> String {
        if self.needles.is_empty() {
            return text.to_owned();
        }
        let start = said_from(text);
        let (speaker, said) = text.split_at(start);
        let mut found = self.found(text);
        let mut open = Vec::new();
        for (index, at) in self.open.remove(speaker).unwrap_or_default() {
            let rest = self.needles.get(index).and_then(|needle| needle.get(at..)).unwrap_or_default();
            if said.starts_with(rest) && (rest.len() >= MIN_SECRET || rest == said) {
                found.push(start..start + rest.len());
            } else if !said.is_empty() && rest.starts_with(said) {
                if said.len() >= MIN_SECRET {
                    found.push(start..text.len());
                }
                open.push((index, at + said.len()));
            }
        }
        for (index, needle) in self.needles.iter().enumerate() {
            if let Some(length) = border(said, needle) {
                if length >= MIN_SECRET {
                    found.push(text.len() - length..text.len());
                }
                open.push((index, length));
            }
        }
        if !open.is_empty() {
            if self.open.len() >= MAX_SPEAKERS {
                self.open.clear();
            }
            self.open.insert(speaker.to_owned(), open);
        }
        replaced(text, found)
    }

    fn found(&self, text: &str) -> Vec<Range<usize>> {
        let of =
            |needle: &String| text.match_indices(needle.as_str()).map(|(at, m)| at..at + m.len()).collect::<Vec<_>>();
        self.needles.iter().flat_map(of).collect()
    }
}

/// Where what a program printed begins, behind the name of the resource whose provisioner ran it.
fn said_from(text: &str) -> usize {
    const SAYS: &str = "-exec): ";
    text.find(SAYS).map_or(0, |at| at + SAYS.len())
}

/// How much of the needle, but not all of it, ends the text.
fn border(text: &str, needle: &str) -> Option<usize> {
    let longest = text.len().min(needle.len() - 1).min(MAX_BORDER);
    (1..=longest).rev().find(|&length| needle.get(..length).is_some_and(|part| text.ends_with(part)))
}

/// The text with the ranges masked, those that touch as one.
fn replaced(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    if ranges.is_empty() {
        return text.to_owned();
    }
    ranges.sort_unstable_by_key(|range| range.start);
    let mut masked = String::with_capacity(text.len());
    let mut shown = 0;
    let mut end = None;
    for range in ranges {
        if end.is_none_or(|end| range.start > end) {
            masked.push_str(text.get(shown..range.start).unwrap_or_default());
            masked.push_str(MASK);
        }
        shown = shown.max(range.end);
        end = Some(shown);
    }
    masked.push_str(text.get(shown..).unwrap_or_default());
    masked
}

/// As a JSON text has it, by the common rules and by Terraform's, which escapes what HTML would read.
fn escaped(value: &str) -> Vec<String> {
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default();
    let html = json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let mut forms = vec![json.to_owned(), html];
    forms.retain(|form| form != value && form.len() >= MIN_SECRET);
    forms
}

/// What base64 makes of the value wherever it stands in the encoded bytes: of each of the three ways the characters that
/// depend on nothing else.
fn encoded(value: &[u8]) -> [String; 3] {
    [0, 1, 2].map(|before| {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(value.iter().copied()).collect();
        let encoded = STANDARD_NO_PAD.encode(&bytes);
        encoded.get((before * 8).div_ceil(6)..bytes.len() * 8 / 6).unwrap_or_default().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masker(values: &[&str]) -> Masker {
        let mut masker = Masker::default();
        masker.add(&values.iter().map(|&v| v.to_owned()).collect::<Vec<_>>());
        masker
    }

    #[test]
    fn values_are_masked_line_by_line_and_where_they_overlap() {
        let masker = masker(&["hunter22", "hunter22-long\n  second", "abc", "22-tail", "sensitive"]);
        let said = masker.text("x hunter22-long y hunter22-tail second abc");
        assert_eq!(said, format!("x {MASK} y {MASK} {MASK} abc"), "a mask isn't masked");
    }

    #[test]
    fn encoded_values_are_masked() {
        let mut masker = masker(&["p\"ss<word>\nline2"]);
        for (text, left) in [
            (r#"{"a":"p\"ss<word>\nline2"}"#, r#"{"a":"(sensitive value)"}"#),
            (r#"{"a":"p\"ss\u003cword\u003e\nline2"}"#, r#"{"a":"(sensitive value)"}"#),
        ] {
            assert_eq!(masker.line(text), left);
        }
        // `printf 'p"ss<word>\nline2' | base64`, alone, behind one byte and behind `user:`.
        for text in ["cCJzczx3b3JkPgpsaW5lMg==", "eHAic3M8d29yZD4KbGluZTI=", "dXNlcjpwInNzPHdvcmQ+CmxpbmUy"] {
            let said = masker.line(text);
            assert!(said.contains(MASK) && said.len() < MASK.len() + 10, "{said}");
        }
        assert!(masker.line("dXNlcjpwInNzPHdvcmQ-CmxpbmUy").contains(MASK), "the alphabet of URLs");
    }

    #[test]
    fn a_value_over_a_border_is_masked_on_both_sides() {
        let mut masker = masker(&["correct-horse-battery"]);
        let of = |part: &str| format!("a.b: (local-exec): {part}");
        assert_eq!(masker.line(&of("the key is correct-h")), of(&format!("the key is {MASK}")));
        assert_eq!(masker.line("a.c: (local-exec): between"), "a.c: (local-exec): between");
        assert_eq!(masker.line(&of("orse-bat")), of(MASK));
        assert_eq!(masker.line(&of("tery, and on")), of(&format!("{MASK}, and on")));
        assert_eq!(masker.line(&of("tery again")), of("tery again"), "only behind its beginning");
        assert_eq!(masker.line("a word that ends in c"), "a word that ends in c");
        assert_eq!(masker.line("orrect-horse-battery"), MASK);
    }
}
