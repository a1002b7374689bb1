//! A child process with its output, which ends with the fixture.

use std::io::Read;
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
    question: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it and reads its output from the first line on.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::start_with(Stdio::null(), name, command)
    }

    /// The same with something to read, such as a terminal.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start_with(stdin: impl Into<Stdio>, name: &str, command: &mut Command) -> Self {
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} doesn't start: {error}"));
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let question = Arc::<Mutex<String>>::default();
        let readers = vec![
            read(child.stdout.take().expect("piped"), stdout.clone(), Arc::default()),
            read(child.stderr.take().expect("piped"), stderr.clone(), question.clone()),
        ];
        Self { name: name.to_owned(), child, stdout, stderr, question, readers }
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

    /// Waits until stderr ends with `text`, in a line that isn't complete.
    pub async fn asks(&self, text: &str, patience: Duration) {
        let what = format!("the question {:?} from {}", text, self.name);
        eventually(&what, patience, async || self.question.lock().unwrap().ends_with(text).then_some(())).await;
    }

    /// Waits until stderr has `text`.
    pub async fn says(&self, text: &str, patience: Duration) {
        let what = format!("{:?} from {}", text, self.name);
        eventually(&what, patience, async || self.stderr().contains(text).then_some(())).await;
    }
}

/// Reads complete lines into `into`; what isn't a complete one is in `rest`.
fn read(mut pipe: impl Read + Send + 'static, into: Lines, rest: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut pending = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        while let Ok(read @ 1..) = pipe.read(&mut piece) {
            pending.extend_from_slice(&piece[..read]);
            if let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') {
                let lines = pending.drain(..=end).collect::<Vec<_>>();
                into.lock().unwrap().extend(lines[..end].split(|byte| *byte == b'\n').map(text));
            }
            *rest.lock().unwrap() = text(&pending);
        }
        if !pending.is_empty() {
            into.lock().unwrap().push(text(&pending));
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
