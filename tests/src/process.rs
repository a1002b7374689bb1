//! A child process with its output, which ends with the fixture.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rest::Rest;
use crate::wait::{SHORT, eventually};

type Lines = Arc<Mutex<Vec<String>>>;

/// A running or ended process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it and reads its output from the first line on.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} doesn't start: {error}"));
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = vec![
            read(child.stdout.take().expect("piped"), stdout.clone()),
            read(child.stderr.take().expect("piped"), stderr.clone()),
        ];
        Self { name: name.to_owned(), child, stdout, stderr, readers }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid"))
    }

    /// Bytes of memory that it occupies, without pages of files, which come and go.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a running process");
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB"));
        kilobytes.and_then(|number| number.trim().parse::<u64>().ok()).expect("its memory") * 1024
    }

    /// How many sockets it has open.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn sockets(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("a running process");
        let targets = open.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.lock().unwrap().join("\n")
    }

    /// What it has said so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().join("\n")
    }

    /// Both, for messages.
    #[must_use]
    pub fn output(&self) -> String {
        format!("---- {} stdout\n{}\n---- {} stderr\n{}\n", self.name, self.stdout(), self.name, self.stderr())
    }

    /// Waits for a line of stdout that `find` takes.
    ///
    /// # Panics
    /// When the process ends before, or the line doesn't come in time.
    pub async fn line<T>(&mut self, patience: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let ended = self.child.try_wait().expect("wait");
            if ended.is_some() {
                self.readers.drain(..).for_each(|reader| reader.join().expect("reader"));
            }
            if let Some(found) = self.stdout.lock().unwrap().iter().find_map(|line| find(line)) {
                return found;
            }
            assert!(ended.is_none(), "{} ended early with {ended:?}\n{}", self.name, self.output());
            assert!(start.elapsed() < patience, "{} didn't say it in {patience:?}\n{}", self.name, self.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it goes on for longer than `patience`.
    pub async fn exit(&mut self, patience: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                self.readers.drain(..).for_each(|reader| reader.join().expect("reader"));
                return status;
            }
            assert!(start.elapsed() < patience, "{} still runs after {patience:?}\n{}", self.name, self.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// When the operating system can't tell.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            kill(self.pid(), signal).expect("own child");
        }
    }

    /// Asks it to end and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.exit(SHORT).await
    }

    /// Where it says that its metrics are served: a client for that.
    pub async fn metrics(&self) -> Rest {
        let what = format!("the address of the metrics of {}", self.name);
        let address = eventually(&what, SHORT, async || {
            let said = self.stderr();
            let line = said.lines().find(|line| line.contains("metrics are served"))?;
            let address = line[line.find("127.0.0.1:")?..].split(|c: char| !c.is_ascii_digit() && !".:".contains(c));
            address.into_iter().next().map(str::to_owned)
        });
        Rest::new(&format!("http://{}", address.await))
    }

    /// Waits until stderr has `text`.
    pub async fn says(&self, text: &str, patience: Duration) {
        let what = format!("{:?} from {}", text, self.name);
        eventually(&what, patience, async || self.stderr().contains(text).then_some(())).await;
    }
}

fn read(pipe: impl Read + Send + 'static, into: Lines) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            into.lock().unwrap().push(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned());
            line.clear();
        }
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.output());
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        let _ = kill(self.pid(), Signal::SIGTERM);
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
