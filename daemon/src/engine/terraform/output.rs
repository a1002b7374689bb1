//! What Terraform prints: log lines, the first error, spans of time, and resources in flight.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use orgplane_proto::provisioner::v1::{LogLevel, Timing};
use serde::Deserialize;

use crate::engine::advice;
use crate::shim::record::{Record, Stream};

/// More spans at a time are not followed.
const MAX_SPANS: usize = 10_000;
/// So many resources in flight are named.
const MAX_NAMES: usize = 20;

/// Reads one command's output.
#[derive(Debug)]
pub(crate) struct Output {
    /// `init`, `plan`, `graph` or `apply`.
    stage: &'static str,
    first_error: Option<String>,
    open: BTreeMap<Span, SystemTime>,
    timings: Vec<Timing>,
    /// What helps against an error, where its own words don't say it.
    advice: Option<&'static str>,
    /// What plain lines on standard error are now.
    plain: LogLevel,
    /// The step of `init` that goes on, and since when.
    init_step: Option<(&'static str, SystemTime)>,
    /// Addresses that `apply_start` named and nothing since.
    in_flight: BTreeSet<String>,
    /// Something was created, changed or deleted to its end.
    completed: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    kind: String,
    provider: String,
    action: String,
    resource: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(rename = "@level", default)]
    level: String,
    #[serde(rename = "@message", default)]
    message: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    message_code: String,
    #[serde(default)]
    diagnostic: Option<Diagnostic>,
    #[serde(default)]
    hook: Option<Hook>,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    #[serde(default)]
    severity: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    range: Option<Range>,
    #[serde(default)]
    snippet: Option<Snippet>,
}

#[derive(Debug, Deserialize)]
struct Range {
    #[serde(default)]
    filename: String,
    start: Position,
}

#[derive(Debug, Deserialize)]
struct Position {
    line: u64,
}

#[derive(Debug, Deserialize)]
struct Snippet {
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    code: String,
}

#[derive(Debug, Deserialize)]
struct Hook {
    #[serde(default)]
    resource: Option<HookResource>,
    #[serde(default)]
    action: String,
    #[serde(default)]
    provisioner: String,
}

#[derive(Debug, Deserialize)]
struct HookResource {
    #[serde(default)]
    addr: String,
    #[serde(default)]
    implied_provider: String,
}

impl Output {
    pub(crate) fn new(stage: &'static str) -> Self {
        Self {
            stage,
            first_error: None,
            advice: None,
            plain: LogLevel::Error,
            init_step: None,
            open: BTreeMap::new(),
            timings: Vec::new(),
            in_flight: BTreeSet::new(),
            completed: false,
        }
    }

    /// The first error's own summary, if there was one.
    pub(crate) fn first_error(&self) -> Option<&str> {
        self.first_error.as_deref()
    }

    /// What helps against the first error for which there is advice.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        self.advice
    }

    /// The text, and what may exist without being in any state.
    pub(crate) fn with_in_flight(&self, text: String) -> String {
        if self.in_flight.is_empty() {
            return text;
        }
        let names: Vec<&str> = self.in_flight.iter().take(MAX_NAMES).map(String::as_str).collect();
        format!("{text}; may exist without being in the state: {}", names.join(", "))
    }

    /// It says that something was changed, or may have been.
    pub(crate) fn has_changes(&self) -> bool {
        self.completed || !self.in_flight.is_empty()
    }

    pub(crate) fn take_timings(&mut self) -> Vec<Timing> {
        std::mem::take(&mut self.timings)
    }

    /// The log lines of one printed line; blank ones are dropped.
    pub(crate) fn read(&mut self, record: &Record) -> Vec<(LogLevel, String)> {
        let text = String::from_utf8_lossy(&record.line);
        let said = match serde_json::from_str::<Message>(&text) {
            Ok(message) if text.starts_with('{') => self.read_message(message, record),
            _ => {
                let level = match record.stream {
                    Stream::Stdout => LogLevel::Info,
                    Stream::Stderr => self.plain_level(&text),
                };
                if level != LogLevel::Warn {
                    self.note_plain_error(&text);
                }
                vec![(level, text.into_owned())]
            }
        };
        let mut lines: Vec<_> = said
            .iter()
            .flat_map(|(level, text)| text.lines().map(|line| (*level, line.to_owned())))
            .filter(|(_, line)| !line.trim().is_empty())
            .collect();
        if record.truncated {
            lines.push((LogLevel::Warn, "(the line is longer and was cut)".to_owned()));
        }
        lines
    }

    /// Nothing says of a plain line what it is, but the heading that it stands below: in a frame, or up to the next one.
    fn plain_level(&mut self, text: &str) -> LogLevel {
        let said = text.trim_start_matches(['│', '╷', ' ']);
        if said.starts_with("Warning: ") {
            self.plain = LogLevel::Warn;
        } else if ["Error: ", "panic: ", "fatal error: "].iter().any(|heading| said.starts_with(heading)) {
            self.plain = LogLevel::Error;
        }
        let level = self.plain;
        if said.starts_with('╵') {
            self.plain = LogLevel::Error;
        }
        // They stand above the heading that says which of the two it is; an error is told again below it.
        let frame = said.is_empty() || said.starts_with("There are some problems with the CLI configuration");
        if frame { LogLevel::Warn } else { level }
    }

    fn note_plain_error(&mut self, text: &str) {
        // What a crash is told to come from is worth more than that something crashed.
        self.advice = advice::on_crash(text).or(self.advice).or_else(|| advice::on(text));
        let error = text.split_once("Error: ").map(|(_, error)| error);
        let error = error.or_else(|| text.starts_with("fatal error: ").then_some(text));
        if let (None, Some(error)) = (&self.first_error, error) {
            self.first_error = Some(error.trim().to_owned());
        }
    }

    fn read_message(&mut self, message: Message, record: &Record) -> Vec<(LogLevel, String)> {
        if let Some(hook) = &message.hook {
            self.follow(&message.r#type, hook, record.time);
        }
        if self.stage == "init" {
            self.follow_init(&message, record.time);
        }
        if let Some(diagnostic) = message.diagnostic {
            return self.read_diagnostic(&diagnostic);
        }
        let level = match (message.level.as_str(), record.stream) {
            ("trace", Stream::Stderr) => return Vec::new(),
            ("trace", Stream::Stdout) => LogLevel::Trace,
            ("debug", _) | ("info", Stream::Stderr) => LogLevel::Debug,
            ("warn", _) => LogLevel::Warn,
            ("error", _) => LogLevel::Error,
            _ => LogLevel::Info,
        };
        vec![(level, message.message)]
    }

    fn read_diagnostic(&mut self, diagnostic: &Diagnostic) -> Vec<(LogLevel, String)> {
        let (level, title) = match diagnostic.severity.as_str() {
            "error" => (LogLevel::Error, "Error"),
            "warning" => (LogLevel::Warn, "Warning"),
            _ => (LogLevel::Info, "Note"),
        };
        if level == LogLevel::Error {
            self.advice = self.advice.or_else(|| advice::on(&format!("{}\n{}", diagnostic.summary, diagnostic.detail)));
        }
        if level == LogLevel::Error && self.first_error.is_none() {
            let detail = diagnostic.detail.lines().next().unwrap_or_default().trim();
            let colon = if detail.is_empty() { "" } else { ": " };
            let summary = diagnostic.summary.split_whitespace().collect::<Vec<_>>().join(" ");
            self.first_error = Some(format!("{summary}{colon}{detail}"));
        }
        let mut lines = vec![format!("{title}: {}", diagnostic.summary)];
        if let Some(range) = &diagnostic.range {
            let place = format!("  on {} line {}", range.filename, range.start.line);
            let context = diagnostic.snippet.as_ref().and_then(|s| s.context.as_deref());
            lines.push(context.map_or_else(|| format!("{place}:"), |context| format!("{place}, in {context}:")));
            let code = diagnostic.snippet.iter().flat_map(|s| s.code.lines().enumerate());
            lines.extend(code.map(|(i, code)| format!("  {:>4}: {code}", range.start.line + i as u64)));
        }
        if let Some(address) = &diagnostic.address {
            lines.push(format!("  with {address}"));
        }
        lines.push(diagnostic.detail.clone());
        lines.into_iter().map(|line| (level, line)).collect()
    }

    /// `init` only says what it begins with: each step ends where the next begins. OpenTofu's messages have no codes.
    fn follow_init(&mut self, message: &Message, time: SystemTime) {
        let text = message.message.trim();
        let next = match message.message_code.as_str() {
            "initializing_backend_message" => Some("backend"),
            "initializing_modules_message" | "upgrading_modules_message" => Some("modules"),
            "initializing_provider_plugin_message" => Some("provider plugins"),
            "output_init_success_message" => None,
            _ if text.starts_with("Initializing the backend") => Some("backend"),
            _ if text.starts_with("Initializing modules") => Some("modules"),
            _ if text.starts_with("Initializing provider plugins") => Some("provider plugins"),
            _ if text.ends_with("has been successfully initialized!") => None,
            _ => return,
        };
        let before = std::mem::replace(&mut self.init_step, next.map(|step| (step, time)));
        if let Some((step, started)) = before {
            self.timings.push(Timing {
                started_at: Some(started.into()),
                ended_at: Some(time.max(started).into()),
                stage: self.stage.to_owned(),
                source: "terraform".to_owned(),
                action: "load".to_owned(),
                resource: step.to_owned(),
            });
        }
    }

    /// Pairs starts with ends.
    fn follow(&mut self, kind: &str, hook: &Hook, time: SystemTime) {
        let Some((kind, event)) = kind.rsplit_once('_') else { return };
        let Some(resource) = &hook.resource else { return };
        let span = Span {
            kind: kind.to_owned(),
            provider: resource.implied_provider.clone(),
            action: if hook.action.is_empty() { hook.provisioner.clone() } else { hook.action.clone() },
            resource: resource.addr.clone(),
        };
        match event {
            "start" => {
                if kind == "apply" && self.in_flight.len() < MAX_SPANS {
                    self.in_flight.insert(resource.addr.clone());
                }
                if self.open.len() < MAX_SPANS {
                    self.open.insert(span, time);
                }
            }
            "complete" | "errored" => {
                if kind == "apply" {
                    self.in_flight.remove(&resource.addr);
                    self.completed |= event == "complete";
                }
                if let Some(started) = self.open.remove(&span)
                    && self.timings.len() < MAX_SPANS
                {
                    let action = if span.action.is_empty() { span.kind } else { span.action };
                    self.timings.push(Timing {
                        started_at: Some(started.into()),
                        ended_at: Some(time.max(started).into()),
                        stage: self.stage.to_owned(),
                        source: span.provider,
                        action,
                        resource: span.resource,
                    });
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record(stream: Stream, at: u64, line: &str) -> Record {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
        Record { stream, time, truncated: false, line: line.as_bytes().to_vec() }
    }

    #[test]
    fn json_lines_become_levels_and_text() {
        let mut output = Output::new("plan");
        let mut read = |line: &str| output.read(&record(Stream::Stdout, 0, line));
        assert_eq!(read(r#"{"@level":"warn","@message":"a\nb"}"#).len(), 2);
        assert_eq!(read("plain"), [(LogLevel::Info, "plain".to_owned())]);
        assert_eq!(read("  "), []);
        assert_eq!(output.read(&record(Stream::Stderr, 0, "oh no"))[0].0, LogLevel::Error);
    }

    #[test]
    fn plain_warnings_are_told_from_errors() {
        let mut output = Output::new("plan");
        let mut level = |line: &str| output.read(&record(Stream::Stderr, 0, line)).first().map(|(level, _)| *level);
        let (warn, error) = (Some(LogLevel::Warn), Some(LogLevel::Error));
        for (line, expected) in [
            ("There are some problems with the CLI configuration:", warn),
            ("╷", warn),
            ("│ Warning: Unable to open CLI configuration file", warn),
            ("│ The file does not exist. Error: no", warn),
            ("╵", warn),
            ("something else", error),
            ("Warning: Deprecated", warn),
            ("  on main.tf", warn),
            ("Error: Broken", error),
            ("because", error),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
        assert_eq!(output.first_error(), Some("Broken"));
    }

    #[test]
    fn the_steps_of_init_are_timed() {
        let mut output = Output::new("init");
        for (at, line) in [
            (1, r#"{"@message":"Initializing the backend...","message_code":"initializing_backend_message"}"#),
            (3, r#"{"@message":"\nInitializing provider plugins..."}"#),
            (4, r#"{"@message":"Installed provider version"}"#),
            (9, r#"{"@message":"OpenTofu has been successfully initialized!"}"#),
        ] {
            output.read(&record(Stream::Stdout, at, line));
        }
        let seconds = |t: Timing| t.ended_at.unwrap().seconds - t.started_at.unwrap().seconds;
        let steps: Vec<_> = output.take_timings().into_iter().map(|t| (t.resource.clone(), seconds(t))).collect();
        assert_eq!(steps, [("backend".to_owned(), 2), ("provider plugins".to_owned(), 6)]);
    }

    #[test]
    fn errors_come_with_advice() {
        let mut output = Output::new("apply");
        let line = r#"{"@level":"error","@message":"Error: x","type":"diagnostic","diagnostic":{"severity":"error",
            "summary":"Failed to write","detail":"Oh.\nwrite plan: no space left on device"}}"#;
        output.read(&record(Stream::Stdout, 0, line));
        assert!(output.advice().unwrap().contains("--work-dir"));
    }

    #[test]
    fn a_lack_of_memory_is_named() {
        for line in ["fatal error: out of memory allocating heap arena metadata", "fatal error: runtime: out of memory"]
        {
            let mut output = Output::new("plan");
            output.read(&record(Stream::Stdout, 0, "Error: Plugin did not respond"));
            let lines = output.read(&record(Stream::Stderr, 0, line));
            assert_eq!(lines, [(LogLevel::Error, line.to_owned())]);
            assert!(output.advice().unwrap().contains("--engine-memory-limit"), "{line}");
            assert_eq!(output.first_error(), Some("Plugin did not respond"));
        }
        let mut output = Output::new("plan");
        output.read(&record(Stream::Stderr, 0, "fatal error: runtime: out of memory"));
        output.read(&record(Stream::Stderr, 0, "fatal error: more of it"));
        assert_eq!(output.first_error(), Some("fatal error: runtime: out of memory"));
    }

    #[test]
    fn diagnostics_are_rendered_and_the_first_error_kept() {
        let mut output = Output::new("plan");
        let line = r#"{"@level":"error","@message":"Error: Bad thing","type":"diagnostic","diagnostic":{"severity":"error",
            "summary":"Bad thing","detail":"Because.\nReally.","range":{"filename":"main.tf","start":{"line":3,"column":1,
            "byte":2},"end":{"line":3,"column":2,"byte":3}},"snippet":{"context":"resource \"a\" \"b\"","code":"  x = y",
            "start_line":3}}}"#;
        let lines: Vec<String> = output.read(&record(Stream::Stdout, 0, line)).into_iter().map(|l| l.1).collect();
        let expected = [
            "Error: Bad thing",
            "  on main.tf line 3, in resource \"a\" \"b\":",
            "     3:   x = y",
            "Because.",
            "Really.",
        ];
        assert_eq!(lines, expected);
        assert_eq!(output.first_error(), Some("Bad thing: Because."));
    }

    #[test]
    fn spans_are_paired_and_what_did_not_end_is_in_flight() {
        let mut output = Output::new("apply");
        let hook = |kind: &str, addr: &str| {
            format!(
                r#"{{"type":"{kind}","@message":"m","hook":{{"resource":{{"addr":"{addr}","implied_provider":"p"}},"action":"create"}}}}"#
            )
        };
        for (at, kind, addr) in [(1, "apply_start", "a.b"), (2, "apply_start", "a.c"), (5, "apply_complete", "a.b")] {
            output.read(&record(Stream::Stdout, at, &hook(kind, addr)));
        }
        assert_eq!(output.with_in_flight("x".to_owned()), "x; may exist without being in the state: a.c");
        let timings = output.take_timings();
        assert_eq!(timings.len(), 1);
        assert_eq!((timings[0].resource.as_str(), timings[0].action.as_str()), ("a.b", "create"));
        assert_eq!(timings[0].ended_at.unwrap().seconds - timings[0].started_at.unwrap().seconds, 4);
    }
}
