//! Query strings: splitting, and reading parameters by the type of the field they fill.
//! An empty value is as good as none; of a repeated single-valued parameter the first counts.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use orgplane_proto::common::v1::FieldViolation;
use orgplane_proto::json::{JsonEnum, ZERO_TIME};
use percent_encoding::percent_decode_str;
use prost_types::Timestamp;

use crate::error::Error;

/// The query parameter, and the cookie, that carry a session token.
pub(crate) const SESSION_TOKEN: &str = "coder_session_token";
/// The query parameter of OAuth 2 clients.
pub(crate) const ACCESS_TOKEN: &str = "access_token";

/// A query string's parameters, decoded, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    entries: Vec<(String, Value)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    /// `?flag`
    Bare,
    /// `?name=text`
    Text(String),
    /// Not UTF-8, or with a NUL character.
    Broken,
}

impl Query {
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        let pairs = raw.unwrap_or_default().split('&').filter(|p| !p.is_empty());
        let entry = |pair: &str| {
            let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
            let value = value.map_or(Value::Bare, |v| decode(v).map_or(Value::Broken, Value::Text));
            Some((decode(name)?, value))
        };
        Self { entries: pairs.filter_map(entry).collect() }
    }

    /// Whether a parameter is there, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(n, _)| n == name)
    }

    /// The first non-empty value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().filter(|(n, _)| n == name).find_map(|(_, value)| match value {
            Value::Text(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
    }

    /// Reads parameters into fields, collecting what is wrong with them.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { query: self, known: Vec::new(), faults: Vec::new() }
    }
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

/// Fills fields from parameters; `finish` has the verdict.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    query: &'a Query,
    known: Vec<&'static str>,
    faults: Vec<FieldViolation>,
}

impl<'a> Reader<'a> {
    pub(crate) fn text(&mut self, name: &'static str, into: &mut String) {
        self.single(name, |text| Ok::<_, String>(text.to_owned()), into);
    }

    pub(crate) fn integer<T: FromStr>(&mut self, name: &'static str, into: &mut T) {
        self.single(name, |text| text.parse().map_err(|_| format!("{text:?} is not an integer in range")), into);
    }

    /// A limit or an offset: an integer from 0.
    pub(crate) fn count<T: FromStr + Default + PartialOrd>(&mut self, name: &'static str, into: &mut T) {
        let parse = |text: &str| match text.parse::<T>() {
            Ok(number) if number >= T::default() => Ok(number),
            _ => Err(format!("{text:?} is not an integer from 0 on, in range")),
        };
        self.single(name, parse, into);
    }

    pub(crate) fn flag(&mut self, name: &'static str, into: &mut bool) {
        if self.query.entries.iter().find(|(n, _)| n == name).is_some_and(|(_, v)| *v == Value::Bare) {
            self.known.push(name);
            *into = true;
            return;
        }
        let parse = |text: &str| match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(format!("{text:?} is not true or false")),
        };
        self.single(name, parse, into);
    }

    pub(crate) fn time(&mut self, name: &'static str, into: &mut Option<Timestamp>) {
        let parse = |text: &str| match text {
            ZERO_TIME => Ok(None),
            // The parser takes a date alone as well.
            _ => match text.parse() {
                Ok(time) if text.len() >= ZERO_TIME.len() => Ok(Some(time)),
                _ => Err(format!("{text:?} is not an RFC 3339 time")),
            },
        };
        self.single(name, parse, into);
    }

    /// A JSON object of texts.
    pub(crate) fn map(&mut self, name: &'static str, into: &mut BTreeMap<String, String>) {
        let fault = "not a JSON object whose values are strings, such as {\"region\":\"east\"}";
        let parse = |text: &str| match serde_json::from_str::<BTreeMap<String, String>>(text) {
            Ok(map) if !map.iter().any(|(key, value)| key.contains('\0') || value.contains('\0')) => Ok(map),
            _ => Err(fault),
        };
        self.single(name, parse, into);
    }

    pub(crate) fn texts(&mut self, name: &'static str, into: &mut Vec<String>) {
        self.list(name, |text| Ok::<_, String>(text.to_owned()), into);
    }

    pub(crate) fn choices<E: JsonEnum>(&mut self, name: &'static str, into: &mut Vec<i32>) {
        self.list(name, parse_choice::<E>, into);
    }

    /// Notes a fault that the caller found.
    pub(crate) fn fault(&mut self, name: &str, detail: impl Display) {
        self.faults.push(FieldViolation { field: name.to_owned(), detail: detail.to_string() });
    }

    /// Fails with all faults found.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.faults.is_empty() {
            return Ok(());
        }
        Err(Error::bad_request("Query parameters have invalid values.").validations(self.faults))
    }

    /// The same, where a parameter that no one has read is a fault as well.
    pub(crate) fn finish_strict(mut self) -> Result<(), Error> {
        let (query, mut unknown) = (self.query, Vec::<&str>::new());
        for (name, _) in &query.entries {
            let known = self.known.contains(&name.as_str()) || [SESSION_TOKEN, ACCESS_TOKEN].contains(&name.as_str());
            if !known && !unknown.contains(&name.as_str()) {
                unknown.push(name);
            }
        }
        for name in unknown {
            self.fault(name, format!("{name:?} is not a valid query parameter"));
        }
        self.finish()
    }

    fn values(&mut self, name: &'static str) -> Vec<&'a str> {
        self.known.push(name);
        let (query, mut texts) = (self.query, Vec::new());
        for (_, value) in query.entries.iter().filter(|(n, _)| n == name) {
            match value {
                Value::Text(text) => texts.push(text.as_str()),
                Value::Bare => texts.push(""),
                Value::Broken => {
                    let detail = "not UTF-8 text without NUL characters".to_owned();
                    self.faults.push(FieldViolation { field: name.to_owned(), detail });
                }
            }
        }
        texts
    }

    fn single<T, E: Display>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, E>, into: &mut T) {
        let parsed = match self.values(name).first() {
            Some(text) if !text.is_empty() => parse(text),
            _ => return,
        };
        match parsed {
            Ok(value) => *into = value,
            Err(detail) => self.fault(name, detail),
        }
    }

    fn list<T, E: Display>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, E>, into: &mut Vec<T>) {
        let values = self.values(name);
        let items = values.iter().flat_map(|v| v.split(',')).map(str::trim).filter(|i| !i.is_empty());
        let parsed: Vec<Result<T, E>> = items.map(parse).collect();
        for item in parsed {
            match item {
                Ok(value) => into.push(value),
                Err(detail) => self.fault(name, detail),
            }
        }
    }
}

fn parse_choice<E: JsonEnum>(text: &str) -> Result<i32, String> {
    E::number_of(text).ok_or_else(|| format!("{text:?} is not one of: {}", E::texts()))
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
