//! What a template prints, however long and whatever it is: the job ends, the log stays within its cap, and neither the
//! server nor the daemon grows with it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::unistd::Pid;
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Daemon, Databases, Deployment, Rest, terraform};
use serde_json::{Value, json};

on_each_database!(any_bytes_are_stored_as_text);

/// The default of what is stored of a job's output.
const CAP: usize = 1024 * 1024;
/// What a process may grow by, whatever is printed: buffers, and what an allocator keeps.
const GROWTH: u64 = 32 * 1024 * 1024;
/// For a million lines on a busy machine.
const PATIENCE: Duration = Duration::from_secs(400);
const NOTICE: &str = "the rest is left out";
/// Where a script finds the standard output of Terraform itself: what it writes there no Terraform has looked at.
const RAW: &str = "/proc/$PPID/fd/1";

struct Story {
    deployment: Deployment,
    owner: Rest,
    organization: String,
    daemon: Daemon,
}

/// How a build went.
struct Told {
    job: Value,
    lines: Vec<Value>,
}

impl Told {
    fn output(&self) -> String {
        outputs(&self.lines)
    }

    /// Within the cap, with one notice if it was reached, which is the last line; whether it was.
    fn overflowed(&self) -> bool {
        // Each with its line break.
        let bytes: usize = self.lines.iter().map(|line| line["output"].as_str().unwrap().len() + 1).sum();
        assert!(bytes <= CAP, "{bytes} bytes are stored");
        let notices = self.lines.iter().filter(|line| line["output"].as_str().unwrap().contains(NOTICE)).count();
        let overflowed = self.job["logs_overflowed"].as_bool().unwrap();
        assert_eq!(notices, usize::from(overflowed), "notices; logs_overflowed is {overflowed}");
        if overflowed {
            let last = self.lines.last().unwrap();
            assert!(last["output"].as_str().unwrap().contains(NOTICE), "{last}");
            assert_eq!((&last["log_level"], &last["log_source"]), (&json!("warn"), &json!("provisioner_daemon")));
            assert!(bytes > CAP - 32 * 1024, "only {bytes} bytes are stored");
        }
        overflowed
    }
}

impl Story {
    async fn start(database: Databases) -> Self {
        let deployment = Deployment::on(database).start().await;
        let (owner, organization, key) = deployment.furnished().await;
        let daemon = Daemon::start(&deployment, "one", &key, "terraform");
        Self { deployment, owner, organization, daemon }
    }

    /// Builds a workspace of a template whose `local-exec` is this script. The build succeeds.
    async fn run(&mut self, name: &str, script: &str) -> Told {
        // Not in a shell of its own, so that its parent is Terraform.
        let main = "resource \"terraform_data\" \"loud\" {\n  provisioner \"local-exec\" {\n    \
                    command = \". ${path.module}/say.sh\"\n  }\n}\n";
        let tar = Archive::default().file("main.tf", main.as_bytes()).file("say.sh", script.as_bytes()).finish();
        let template = self.owner.template(&self.organization, name, tar, "terraform").await;
        let workspace = self.owner.workspace(name, &template).await;
        let build = self.owner.built(&text(&workspace["latest_build"], "id"), PATIENCE).await;
        assert_eq!(build["status"], "running", "{build}");
        let lines = self.owner.logs(&format!("/api/v2/workspacebuilds/{}", text(&build, "id"))).await;
        Told { job: build["job"].clone(), lines }
    }

    /// The same, with an eye on memory.
    async fn run_flat(&mut self, name: &str, script: &str) -> Told {
        let (server, daemon) = (self.deployment.process().pid(), self.daemon.process().pid());
        let watched =
            [("server", Memory::of(server)), ("daemon", Memory::of(daemon)), ("shim", Memory::of_shims(daemon))];
        let told = self.run(name, script).await;
        for (what, memory) in watched {
            memory.assert_flat(&format!("{name}: {what}"));
        }
        told
    }
}

/// What a process holds of its own, in bytes: not the parts of its program that happen to be in memory, which the kernel
/// drops and reads again as it likes.
fn held(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    };
    Some(figure("RssAnon")? + figure("VmSwap").unwrap_or_default())
}

/// The most that any of some processes holds from here on. Only looked at now and then: what is there for a shorter time
/// isn't seen.
struct Memory {
    before: u64,
    peak: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Memory {
    fn of(pid: Pid) -> Self {
        Self::watch(move || vec![pid])
    }

    /// Of what stands between a daemon and its engines, which comes and goes.
    fn of_shims(daemon: Pid) -> Self {
        let is_shim = |pid: &Pid| {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.split('\0').any(|word| word == "shim")
        };
        Self::watch(move || children(daemon).into_iter().filter(is_shim).collect())
    }

    fn watch(pids: impl Fn() -> Vec<Pid> + Send + 'static) -> Self {
        let most = move || pids().into_iter().filter_map(held).max().unwrap_or_default();
        let watched = Self { before: most(), peak: Arc::default(), over: Arc::default() };
        let (peak, over) = (Arc::clone(&watched.peak), Arc::clone(&watched.over));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                peak.fetch_max(most(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        watched
    }

    fn assert_flat(&self, what: &str) {
        let peak = self.peak.load(Ordering::Relaxed);
        let grown = peak.saturating_sub(self.before);
        let kib = |bytes: u64| bytes / 1024;
        eprintln!("{what}: {} KiB before, {} KiB at most, {} KiB more", kib(self.before), kib(peak), kib(grown));
        assert!(peak > 0, "{what} wasn't seen");
        assert!(grown < GROWTH, "{what} has grown by {grown} bytes");
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Of any of its threads.
fn children(parent: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids: Vec<_> = lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    pids.iter().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}

#[tokio::test]
async fn a_flood_of_output_is_cut_off_in_flat_memory() {
    if !terraform() {
        return;
    }
    let mut story = Story::start(Databases::Sqlite).await;
    // What is loaded once is no growth.
    assert!(!story.run("first", "echo hello").await.overflowed());

    // A line of 10 MB: what Terraform passes on of it is its own affair (1.11 nothing, after seconds of work).
    let line = "head -c 10000000 /dev/zero | tr '\\0' x";
    let told = story.run_flat("line", &format!("{line}; echo; echo after it")).await;
    told.overflowed();

    // The same past Terraform: a part of such a line is kept, and the job's log has room for more.
    let told = story.run_flat("raw-line", &format!("{{ {line}; echo; echo after it; }} > {RAW}")).await;
    assert!(!told.overflowed());
    let output = told.output();
    let kept = output.matches('x').count();
    assert!((200_000..CAP).contains(&kept), "{kept}");
    assert_eq!(output.matches("the line is longer and was cut").count(), 1);
    assert!(output.contains("after it"), "what follows a long line is lost");

    let told = story.run_flat("lines", "seq 1000000").await;
    assert!(told.overflowed());
    let said = told.output();
    let numbers: Vec<u32> =
        said.lines().filter_map(|line| line.rsplit_once("(local-exec): ")?.1.parse().ok()).collect();
    assert!(numbers.len() > 10_000, "{} lines are kept", numbers.len());
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u32), "they aren't the first ones in order");

    // Lines of Terraform's own that no Terraform wrote, and empty ones.
    let told = story.run_flat("raw-lines", &format!("{{ seq 1000000; yes '' | head -n 1000000; }} > {RAW}")).await;
    assert!(told.overflowed());
    let said = told.output();
    let numbers: Vec<u32> = said.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(numbers.len() > 10_000 && numbers.iter().copied().eq(1..=numbers.len() as u32), "{}", numbers.len());
}

/// Bytes that aren't text, and text that steers terminals.
const ODD: &str = r"
printf 'esc \033[31mred\033[0m\n'
printf 'osc \033]0;title\007\033]52;c;aGk=\007\033]8;;http://x\033\\link\n'
printf 'c1 \302\233[31m\n'
printf 'nul a\000b\n'
printf 'cr 10\r20\r30\n'
printf 'bad \377\376\300\200 bytes\n'
printf 'page </script><b>\n'
printf 'crlf Set-Cookie: a=b\r\n'
printf 'end \303'
";

/// What is stored of it: what isn't text is replaced, the rest is as it was.
const STORED: [&str; 9] = [
    "esc \x1b[31mred\x1b[0m",
    "osc \x1b]0;title\x07\x1b]52;c;aGk=\x07\x1b]8;;http://x\x1b\\link",
    "c1 \u{9b}[31m",
    "nul a\u{fffd}b",
    "cr 10\r20\r30",
    "bad \u{fffd}\u{fffd}\u{fffd}\u{fffd} bytes",
    "page </script><b>",
    "crlf Set-Cookie: a=b",
    "end \u{fffd}",
];

async fn any_bytes_are_stored_as_text(database: Databases) {
    if !terraform() {
        return;
    }
    let mut story = Story::start(database).await;
    for (name, script) in [("told", ODD.to_owned()), ("raw", format!("{{ {ODD} echo; }} > {RAW}"))] {
        let told = story.run(name, &script).await;
        assert!(!told.overflowed());
        let lines: Vec<_> = told.lines.iter().map(|line| text(line, "output")).collect();
        // Terraform ends lines at carriage returns.
        let part = |stored: &'static str| if name == "told" { stored.split('\r').collect() } else { vec![stored] };
        for stored in STORED.into_iter().flat_map(part) {
            let is = |line: &String| line == stored || line.ends_with(&format!("(local-exec): {stored}"));
            assert!(lines.iter().any(is), "{name}: {stored:?} isn't in {lines:#?}");
        }
    }
}
