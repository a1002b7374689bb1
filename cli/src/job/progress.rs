//! How a job's progress looks: stage by stage, with a spinner on a terminal and in plain lines elsewhere.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use orgplane_proto::provisioner::v1::{JobStatus, ProvisionerJob, ProvisionerJobLog};
use prost_types::Timestamp;
use tokio::time::Instant;

use super::{Standing, has_ended};
use crate::environment;
use crate::output;
use crate::printable::printable_line;

const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Lines of a stage that are kept to be shown when it fails.
const KEPT: usize = 200;

/// What is shown of a job, on stderr.
pub(super) struct Progress {
    verbose: bool,
    /// A terminal, on which a line can be written again.
    live: bool,
    colors: bool,
    frame: usize,
    waits: String,
    stage: Option<Stage>,
}

struct Stage {
    name: String,
    since: Instant,
    began: Option<Timestamp>,
    lines: VecDeque<String>,
    left_out: usize,
}

impl Progress {
    pub(super) fn new(verbose: bool) -> Self {
        let (live, colors) = look(std::io::stderr().is_terminal(), |name| environment::first(&[name]));
        Self { verbose, live: live && !verbose, colors, frame: 0, waits: String::new(), stage: None }
    }

    /// Says why a job waits, when that has changed.
    pub(super) fn standing(&mut self, standing: &Standing) {
        let waits = waits(standing);
        if waits != self.waits {
            if !waits.is_empty() {
                self.say(&waits);
            }
            self.waits = waits;
        }
    }

    /// Takes a line of the log.
    pub(super) fn line(&mut self, line: &ProvisionerJobLog) {
        if self.stage.as_ref().is_none_or(|stage| stage.name != line.stage) {
            self.end_stage(line.created_at, true);
            let name = line.stage.clone();
            if !self.live {
                output::progress(&format!("==> {}", printable_line(&name)));
            }
            let (since, began) = (Instant::now(), line.created_at);
            self.stage = Some(Stage { name, since, began, lines: VecDeque::new(), left_out: 0 });
        }
        if line.output.is_empty() {
            return;
        }
        let text = printable_line(&line.output);
        if self.verbose {
            output::progress(&format!("    {text}"));
        } else if let Some(stage) = &mut self.stage {
            if stage.lines.len() == KEPT {
                stage.lines.pop_front();
                stage.left_out += 1;
            }
            stage.lines.push_back(text);
        }
    }

    /// Moves the spinner on.
    pub(super) fn tick(&mut self) {
        if !self.live {
            return;
        }
        self.frame = (self.frame + 1) % FRAMES.len();
        let (what, since) = match &self.stage {
            Some(stage) => (printable_line(&stage.name), Some(stage.since)),
            None => ("Waiting for a provisioner daemon".to_owned(), None),
        };
        let seconds = since.map_or(String::new(), |since| format!(" ({} s)", since.elapsed().as_secs()));
        let frame = FRAMES.get(self.frame).copied().unwrap_or(' ');
        self.overwrite(&format!("{} {what}{seconds}", self.colored("36", &frame.to_string())));
    }

    /// Says something between the stages.
    pub(super) fn say(&mut self, text: &str) {
        self.overwrite("");
        output::progress(text);
    }

    /// The job has ended: its last stage ended with it, and shows its log if the job failed.
    pub(super) fn end(&mut self, job: &ProvisionerJob) {
        let good = job.status() == JobStatus::Succeeded;
        let failed = self.stage.take_if(|_| !good);
        let Some(stage) = failed else {
            self.end_stage(job.completed_at, good);
            return;
        };
        let Stage { name, began, lines, left_out, since } = stage;
        self.stage = Some(Stage { name, began, since, lines: VecDeque::new(), left_out: 0 });
        self.end_stage(job.completed_at, false);
        if job.status() == JobStatus::Failed {
            if left_out > 0 {
                output::progress(&format!("    … {left_out} lines before; `orgplane logs` has them"));
            }
            for line in lines {
                output::progress(&format!("    {line}"));
            }
        }
    }

    fn end_stage(&mut self, at: Option<Timestamp>, good: bool) {
        let Some(stage) = self.stage.take() else {
            self.overwrite("");
            return;
        };
        let took = stage.began.zip(at).map_or(String::new(), |(began, at)| format!(" ({})", between(began, at)));
        if self.live {
            let mark = if good { self.colored("32", "✔") } else { self.colored("31", "✘") };
            self.overwrite("");
            output::progress(&format!("{mark} {}{took}", printable_line(&stage.name)));
        } else if good {
            output::progress(&format!("    done{took}"));
        } else {
            output::progress(&format!("    not done{took}"));
        }
    }

    fn colored(&self, color: &str, text: &str) -> String {
        if self.colors { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Writes over the line of the spinner.
    fn overwrite(&self, text: &str) {
        if self.live {
            let mut stderr = std::io::stderr();
            let _ = write!(stderr, "\r\u{1b}[2K{text}").and_then(|()| stderr.flush());
        }
    }
}

/// Whether there is a line that can be written again, and colors.
fn look(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> (bool, bool) {
    let live = is_terminal && variable("TERM").is_none_or(|term| term != "dumb");
    (live, live && variable("NO_COLOR").is_none())
}

fn between(began: Timestamp, at: Timestamp) -> String {
    let millis = |time: Timestamp| time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos) / 1_000_000);
    let took = u64::try_from(millis(at).saturating_sub(millis(began))).unwrap_or_default();
    format!("{:.1} s", Duration::from_millis(took).as_secs_f64())
}

/// Why a job waits and what can be done about it; empty when it doesn't.
fn waits(standing: &Standing) -> String {
    let Standing { job, matched } = standing;
    if has_ended(job) || job.status() != JobStatus::Pending {
        return String::new();
    }
    let tags: Vec<_> = job.tags.iter().filter(|(key, value)| !value.is_empty() && !is_usual(key, value)).collect();
    let tags = tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
    let tags = printable_line(&if tags.is_empty() { "no tags".to_owned() } else { format!("the tags {tags}") });
    match matched {
        Some(matched) if matched.count == 0 => format!(
            "Waiting: the organization has no provisioner daemon that could do this. Start one with `orgplane provisioner \
             start`; its key needs {tags}."
        ),
        Some(matched) if matched.available == 0 => format!(
            "Waiting: the {} provisioner daemon(s) that could do this are away, seen last {}. Start one with `orgplane \
             provisioner start`; its key needs {tags}.",
            matched.count,
            output::time(matched.most_recently_seen.as_ref()),
        ),
        _ if job.queue_position > 0 => {
            format!("Waiting in the queue, place {} of {}.", job.queue_position, job.queue_size.max(job.queue_position))
        }
        _ => String::new(),
    }
}

/// A tag that every job has.
fn is_usual(key: &str, value: &str) -> bool {
    key == "scope" && value == "organization"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use orgplane_proto::provisioner::v1::MatchedProvisioners;

    use super::*;

    fn pending(count: i32, available: i32, position: i32) -> Standing {
        let tags = [("scope", "organization"), ("owner", ""), ("region", "east")];
        let mut job = ProvisionerJob {
            queue_position: position,
            queue_size: 7,
            tags: tags.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<BTreeMap<_, _>>(),
            ..ProvisionerJob::default()
        };
        job.set_status(JobStatus::Pending);
        let most_recently_seen = Some(Timestamp { seconds: 1_700_000_000, nanos: 0 });
        Standing { job, matched: Some(MatchedProvisioners { count, available, most_recently_seen }) }
    }

    #[test]
    fn a_wait_has_a_reason_and_a_way_out() {
        let nobody = waits(&pending(0, 0, 0));
        assert!(nobody.contains("no provisioner daemon") && nobody.contains("region=east"), "{nobody}");
        assert!(!nobody.contains("scope"), "{nobody}");
        let away = waits(&pending(2, 0, 0));
        assert!(away.contains("2 provisioner daemon(s)") && away.contains("2023-11-14T22:13:20Z"), "{away}");
        assert_eq!(waits(&pending(1, 1, 3)), "Waiting in the queue, place 3 of 7.");
        let mut running = pending(1, 1, 0);
        running.job.set_status(JobStatus::Running);
        assert_eq!(waits(&running), "");
    }

    #[test]
    fn only_a_terminal_has_a_spinner_and_colors_may_be_declined() {
        let set = |is_terminal, name: &'static str, value: &'static str| {
            look(is_terminal, move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(set(true, "TERM", "xterm"), (true, true));
        assert_eq!(set(true, "NO_COLOR", "1"), (true, false));
        assert_eq!(set(true, "TERM", "dumb"), (false, false));
        assert_eq!(set(false, "TERM", "xterm"), (false, false));
    }

    #[test]
    fn times_are_told_in_tenths_of_seconds() {
        let at = |seconds, nanos| Timestamp { seconds, nanos };
        assert_eq!(between(at(1, 0), at(3, 250_000_000)), "2.2 s");
        assert_eq!(between(at(3, 0), at(1, 0)), "0.0 s");
    }
}
