//! The Terraform commands, each run under its shim.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use orgplane_proto::provisioner::v1::{LogLevel, Timing};
use tokio::sync::{mpsc, watch};

use super::graph::Graph;
use super::output::Output;
use super::resources::Show;
use super::{Binary, EPHEMERAL_FILE, VAR_FILE, plugins, state};
use crate::engine::{Context, Failure, advice};
use crate::exec::{self, ExecError};
use crate::files::{self, create_private, private_file};
use crate::foreign;
use crate::job::Stop;
use crate::job::phase::Cause;
use crate::shim::{self, Exit, Step};
use crate::workdir::{STEPS, WORK};

/// Bytes that one command may print.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;
/// For reading the state after an apply.
const SHOW_LIMIT: Duration = Duration::from_secs(60);
const SHOW_GRACE: Duration = Duration::from_secs(5);
/// Records that wait to be read; each may be as long as a line may be.
const RECORDS: usize = 16;
const LOCK_POLL: Duration = Duration::from_millis(100);
const LOCK_NOTICE: Duration = Duration::from_secs(15);

/// Terraform in a job's directory.
#[derive(Debug)]
pub(crate) struct Terraform<'a> {
    pub(crate) context: &'a Context,
    pub(crate) binary: &'a Binary,
    pub(crate) work: PathBuf,
    /// Where the template is as it came: the same directory, unless an earlier daemon let the engine into that.
    pub(crate) template: PathBuf,
    number: AtomicU32,
}

/// How a command ended, with what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) output: Output,
    dir: PathBuf,
}

impl<'a> Terraform<'a> {
    pub(crate) fn new(context: &'a Context, binary: &'a Binary) -> Self {
        let at = |name: &str| context.job.dir.join(name);
        let template = at(if context.begun { "template" } else { WORK });
        Self { context, binary, work: at(WORK), template, number: AtomicU32::new(1) }
    }

    /// Installs providers and modules. One engine at a time uses the shared cache of plugins, also one whose daemon died.
    pub(crate) async fn init(&self, env: &BTreeMap<String, String>) -> Result<(), Failure> {
        self.context.stage("Initializing Terraform Directory").await;
        let (cache, lock) = if self.has_begun("init") { (self.cache(), None) } else { self.lock_cache().await? };
        let mut env = env.clone();
        env.insert("TF_PLUGIN_CACHE_DIR".to_owned(), cache.to_string_lossy().into_owned());
        let mut args = vec!["init", "-no-color", "-input=false"];
        if self.binary.has_json_init() {
            args.push("-json");
        }
        let locked = lock.as_ref().map(std::fs::File::try_clone).transpose();
        let locked = locked.map_err(|e| Failure::job(format!("the plugin cache {}: {e}", cache.display())))?;
        let ended = self.run_until("init", &args, &env, false, locked, self.context.job.stops()).await?;
        let work = self.work.clone();
        if let Some(lock) = lock {
            let tidied = tokio::task::spawn_blocking(move || plugins::tidy(&cache, &work)).await;
            drop(lock);
            if let Ok(Err(error)) = tidied {
                tracing::debug!(%error, "can't tidy the plugin cache");
            }
        }
        self.expect_success("init", &ended)?;
        // Whatever the files said: no state is to go where it isn't taken from.
        state::check_backend(&self.work).await.map_err(Failure::job)
    }

    /// Lets Terraform say what is wrong with files that can't be read here, before it uses any backend.
    pub(crate) async fn explain(&self, unreadable: &str, env: &BTreeMap<String, String>) -> Failure {
        self.context.stage("Parsing template parameters").await;
        let mut args = vec!["init", "-no-color", "-input=false", "-backend=false", "-get=false"];
        if self.binary.has_json_init() {
            args.push("-json");
        }
        match self.run("init", &args, env, false).await {
            Err(failure) => failure,
            Ok(ended) => match self.expect_success("init", &ended) {
                Err(failure) => failure,
                Ok(()) => Failure::job(format!("the template's variables can't be read: {unreadable}")),
            },
        }
    }

    /// Plans into a file and returns what is planned.
    pub(crate) async fn plan(
        &self,
        env: &BTreeMap<String, String>,
        destroy: bool,
        file: &str,
    ) -> Result<Show, Failure> {
        let (out, vars) = (format!("-out={file}"), format!("-var-file={VAR_FILE}"));
        let mut args = vec!["plan", "-no-color", "-input=false", "-json", "-refresh=true", &out, &vars];
        let ephemeral = self.ephemeral();
        args.extend(ephemeral.as_deref());
        if destroy {
            args.push("-destroy");
        }
        let ended = self.run("plan", &args, env, false).await?;
        self.expect_success("plan", &ended)?;
        self.show(env, Some(file)).await
    }

    /// A plan or, without one, the state, as JSON.
    pub(crate) async fn show(&self, env: &BTreeMap<String, String>, plan: Option<&str>) -> Result<Show, Failure> {
        self.shown(env, plan, self.context.job.stops()).await
    }

    /// What depends on what in the template.
    pub(crate) async fn graph(&self, env: &BTreeMap<String, String>) -> Result<Graph, Failure> {
        let ended = self.run("graph", &["graph", "-type=plan"], env, true).await?;
        self.expect_success("graph", &ended)?;
        let bytes = foreign::read_async(ended.dir.join(shim::STDOUT), MAX_OUTPUT).await;
        let bytes = bytes.map_err(|e| Failure::job(format!("the template's graph can't be read: {e}")))?;
        Ok(Graph::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// The state after an apply, as JSON: read whatever the job is told meanwhile, but within a time limit.
    pub(crate) async fn show_applied(&self, env: &BTreeMap<String, String>) -> Result<Show, Failure> {
        let (stop, stops) = watch::channel(None);
        let showing = self.shown(env, None, stops);
        tokio::pin!(showing);
        let shown = tokio::select! {
            shown = &mut showing => shown,
            () = tokio::time::sleep(SHOW_LIMIT) => {
                let reason = format!("it took longer than {} seconds", SHOW_LIMIT.as_secs());
                stop.send_replace(Some(Stop { cause: Cause::TimeLimit, reason, grace: Some(SHOW_GRACE) }));
                showing.await
            }
        };
        shown.map_err(|failure| match failure {
            Failure::Stopped => Failure::job("the apply is complete, but its resources can't be read"),
            other => other,
        })
    }

    async fn shown(
        &self,
        env: &BTreeMap<String, String>,
        plan: Option<&str>,
        stops: watch::Receiver<Option<Stop>>,
    ) -> Result<Show, Failure> {
        let args: Vec<&str> = ["show", "-json", "-no-color"].into_iter().chain(plan).collect();
        let ended = self.run_until("graph", &args, env, true, None, stops).await?;
        self.expect_success("show", &ended)?;
        let path = ended.dir.join(shim::STDOUT);
        if ended.exit.truncated {
            return Err(Failure::job("the plan or state is too long to be read"));
        }
        let parsed = tokio::task::spawn_blocking(move || {
            let bytes = foreign::read(&path, MAX_OUTPUT).map_err(|e| e.to_string())?;
            serde_json::from_slice(&bytes).map_err(|e| e.to_string())
        });
        let parsed: Result<Show, String> = parsed.await.unwrap_or_else(|e| Err(e.to_string()));
        parsed.map_err(|e| Failure::job(format!("{} show: unexpected output: {e}", self.binary.product())))
    }

    /// Applies a plan file. An unsuccessful end is for the caller to judge.
    pub(crate) async fn apply(&self, env: &BTreeMap<String, String>, file: &str) -> Result<Ended, Failure> {
        let mut args = vec!["apply", "-no-color", "-auto-approve", "-input=false", "-json"];
        let ephemeral = self.ephemeral();
        args.extend(ephemeral.as_deref());
        args.push(file);
        self.run("apply", &args, env, false).await
    }

    /// The option for the values that no plan keeps, if there are some.
    fn ephemeral(&self) -> Option<String> {
        self.work.join(EPHEMERAL_FILE).exists().then(|| format!("-var-file={EPHEMERAL_FILE}"))
    }

    /// An error with the engine's own words, unless the command succeeded.
    pub(crate) fn expect_success(&self, command: &str, ended: &Ended) -> Result<(), Failure> {
        if ended.exit.success() {
            return Ok(());
        }
        self.context.check()?;
        let product = self.binary.product();
        let error = match (&ended.exit, ended.output.first_error()) {
            (Exit { error: Some(error), .. }, _) => format!("{product} {command} can't be started: {error}"),
            (_, Some(error)) => format!("{product} {command}: {error}"),
            (Exit { signal: Some(signal), .. }, None) => format!("{product} {command} was killed by signal {signal}"),
            (Exit { code, .. }, None) => {
                format!("{product} {command} ended with code {} and no error message", code.unwrap_or(-1))
            }
        };
        let signal = ended.exit.signal.and_then(advice::on_signal);
        Err(Failure::job(match ended.output.advice().or(signal) {
            Some(advice) => format!("{error} ({advice})"),
            None => error,
        }))
    }

    async fn run(
        &self,
        stage: &'static str,
        args: &[&str],
        env: &BTreeMap<String, String>,
        capture: bool,
    ) -> Result<Ended, Failure> {
        self.run_until(stage, args, env, capture, None, self.context.job.stops()).await
    }

    async fn run_until(
        &self,
        stage: &'static str,
        args: &[&str],
        env: &BTreeMap<String, String>,
        capture: bool,
        locked: Option<std::fs::File>,
        stops: watch::Receiver<Option<Stop>>,
    ) -> Result<Ended, Failure> {
        let context = self.context;
        let command = args.first().copied().unwrap_or(stage);
        let begun = self.has_begun(command);
        // What runs is waited for, whatever the job is told.
        if !begun && stops.borrow().is_some() {
            return Err(Failure::Stopped);
        }
        let dir = self.step(command);
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        if let (false, 1, Some(user)) = (begun, number, &context.user) {
            // From here on it is what the template's code makes of it.
            let (work, owner) = (self.work.clone(), (user.uid, user.gid));
            let given = tokio::task::spawn_blocking(move || files::give_tree(&work, owner)).await;
            let given = given.unwrap_or_else(|e| Err(std::io::Error::other(e)));
            given.map_err(|e| Failure::job(format!("can't give the work directory to the engine's user: {e}")))?;
        }
        let step = Step {
            program: self.binary.path.clone(),
            args: args.iter().map(|&a| a.to_owned()).collect(),
            cwd: self.work.clone(),
            env: env.clone(),
            user: context.user.as_ref().map(|user| (user.uid, user.gid)),
            capture,
            limit: MAX_OUTPUT,
            memory: context.host.engine_memory,
        };
        let grace = context.job.machine().grace(context.host.plan_grace, context.host.apply_grace);
        let mut output = Output::new(stage);
        let (sender, mut records) = mpsc::channel(RECORDS);
        let running = exec::run(&context.host.shim, &dir, &step, locked, stops, grace, sender);
        let reading = async {
            while let Some(record) = records.recv().await {
                for (level, line) in output.read(&record) {
                    context.engine_line(record.time, level, line).await;
                }
            }
        };
        let (exit, ()) = tokio::join!(running, reading);
        let exit = exit.map_err(|e| match e {
            ExecError::Start(_) => Failure::job(advice::added(e.to_string())),
            // Nothing was changed, so the job can be begun again.
            ExecError::Lost(_) if begun && !context.job.machine().permitted() => Failure::Infrastructure(e.to_string()),
            ExecError::Unread(_) | ExecError::Lost(_) => Failure::Lost(output.with_in_flight(e.to_string())),
        })?;
        let (started, ended) = (written(&dir.join(shim::STEP)), written(&dir.join(shim::EXIT)));
        let whole = Timing {
            started_at: Some(started.into()),
            ended_at: Some(ended.max(started).into()),
            stage: stage.to_owned(),
            source: "orgplane".to_owned(),
            action: command.to_owned(),
            resource: format!("orgplane_stage_{stage}"),
        };
        context.add_timings(std::iter::once(whole).chain(output.take_timings()));
        Ok(Ended { exit, output, dir })
    }

    /// The directory of the next command.
    fn step(&self, command: &str) -> PathBuf {
        let number = self.number.load(Ordering::Relaxed);
        self.context.job.dir.join(STEPS).join(format!("{number:02}-{command}"))
    }

    /// Whether an earlier daemon began the next command.
    fn has_begun(&self, command: &str) -> bool {
        self.context.begun && shim::has_begun(&self.step(command))
    }

    /// The cache of plugins, each engine user's its own.
    fn cache(&self) -> PathBuf {
        let user = self.context.user.as_ref();
        let name = user.map_or_else(|| "plugins".to_owned(), |user| format!("plugins-{}", user.uid));
        self.context.host.cache_dir.join(name)
    }

    /// The same, with the lock of whoever fills it.
    async fn lock_cache(&self) -> Result<(PathBuf, Option<std::fs::File>), Failure> {
        let (user, cache) = (self.context.user.as_ref(), self.cache());
        let open = || {
            create_private(&cache)?;
            if let Some(user) = user {
                files::give(&cache, (user.uid, user.gid))?;
            }
            private_file(&cache.with_extension("lock"))
        };
        let broken = |e: std::io::Error| Failure::job(format!("the plugin cache {}: {e}", cache.display()));
        let file = open().map_err(broken)?;
        let begun = tokio::time::Instant::now();
        let mut noticed = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok((cache, Some(file))),
                Err(std::fs::TryLockError::Error(error)) => return Err(broken(error)),
                Err(std::fs::TryLockError::WouldBlock) => {}
            }
            if !noticed && begun.elapsed() > LOCK_NOTICE {
                noticed = true;
                self.context.say(LogLevel::Info, "Waiting for another job that fills the plugin cache").await;
            }
            self.context.or_stop(tokio::time::sleep(LOCK_POLL)).await?;
        }
    }
}

/// When a file of a step was written; now if that can't be known.
fn written(file: &Path) -> SystemTime {
    std::fs::metadata(file).and_then(|about| about.modified()).unwrap_or_else(|_| SystemTime::now())
}
