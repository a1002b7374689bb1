//! Headers that the operator adds to each call, for what stands in front of the server.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::Setting;

const FLAG: &str = "--header";
const FILE_FLAG: &str = "--header-file";
/// Enough for tokens of any kind; servers take 64 KiB of headers in all.
const MOST: usize = 32;

/// Names that calls themselves use, or that say how a message is sent.
const RESERVED: &[&str] = &[
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-request-id",
];
const RESERVED_PREFIXES: &[&str] = &["grpc-", "proxy-", "x-forwarded-"];

/// One header, from `Name=Value`. Its value may be a secret and isn't shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    value: HeaderValue,
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("give a header as Name=Value")?;
        let name = name.trim();
        let name = HeaderName::from_str(name).map_err(|_| format!("{name:?} is not a header's name"))?;
        let reserved = RESERVED.contains(&name.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
            || name.as_str().ends_with("-bin");
        if reserved {
            return Err(format!("{name} is reserved: calls set it themselves"));
        }
        let visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        let value = value.trim();
        if !value.bytes().all(visible) {
            return Err(format!("the value of {name} has characters that a header can't carry"));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| format!("the value of {name} can't be sent"))?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=[redacted]", self.name)
    }
}

/// The headers of every call.
#[derive(Debug, Clone, Default)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// # Errors
    /// When there are too many.
    pub fn new(headers: &[Header]) -> Result<Self, Setting> {
        if headers.len() > MOST {
            return Err(Setting::new(FLAG, format!("give at most {MOST} headers")));
        }
        Ok(Self(headers.to_vec()))
    }

    /// These and those of a file: one `Name=Value` a line, empty lines and lines that begin with `#` aside.
    pub(crate) fn with_file(&self, file: &Path) -> Result<Self, Setting> {
        let wrong = |rule: String| Setting::new(FILE_FLAG, format!("{}: {rule}", file.display()));
        let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|error| wrong(error.to_string()))?;
        let mut all = self.0.clone();
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            all.push(line.parse().map_err(|rule: String| wrong(format!("line {number}: {rule}")))?);
        }
        if all.len() > MOST {
            return Err(wrong(format!("there are more than {MOST} headers")));
        }
        Ok(Self(all))
    }

    pub(crate) fn add_to(&self, map: &mut HeaderMap) {
        for Header { name, value } in &self.0 {
            map.append(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let header: Header = "X-Tenant = a=b c".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.to_str().unwrap()), ("x-tenant", "a=b c"));
        for (bad, says) in [
            ("X-Tenant", "Name=Value"),
            ("=secret", "name"),
            ("a b=secret", "name"),
            ("Authorization=secret", "reserved"),
            ("GRPC-Timeout=secret", "reserved"),
            ("x-forwarded-for=1.2.3.4", "reserved"),
            ("Host=secret", "reserved"),
            ("trace-bin=secret", "reserved"),
            (":path=secret", "name"),
            ("X-A=secret\u{7f}", "x-a"),
            ("X-A=sécret", "x-a"),
            ("X-A=secret\r\nX-B: c", "x-a"),
        ] {
            let error = bad.parse::<Header>().unwrap_err();
            assert!(error.contains(says) && !error.contains("secret"), "{bad:?}: {error}");
        }
    }

    #[test]
    fn a_file_has_one_a_line_and_values_are_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(&file, "# access\nX-A=secret\n\n X-B = two\n").unwrap();
        let headers = Headers::new(&["X-C=three".parse().unwrap()]).unwrap().with_file(&file).unwrap();
        assert_eq!(headers.0.len(), 3);
        assert!(!format!("{headers:?}").contains("secret"));
        std::fs::write(&file, "X-A=1\nHost=secret\n").unwrap();
        let error = Headers::default().with_file(&file).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("--header-file") && !error.contains("secret"), "{error}");
        std::fs::write(&file, "X-A=1\n".repeat(MOST + 1)).unwrap();
        assert!(Headers::default().with_file(&file).is_err());
        assert!(Headers::default().with_file(&folder.path().join("none")).is_err());
    }
}
