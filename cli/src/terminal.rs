//! Questions to the person at the terminal.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use anyhow::{Context as _, Result, bail};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::args::Yes;
use crate::error::Usage;
use crate::printable::printable;

/// Bytes of what is read from stdin as a whole.
const LONGEST: u64 = 1024 * 1024;

/// Whether somebody can answer.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks for a line.
pub(crate) async fn ask(question: String) -> Result<String> {
    interruptible(move || ask_now(&question)).await
}

/// Asks for a line that isn't shown.
pub(crate) async fn ask_hidden(question: String) -> Result<String> {
    let hidden = Hidden::start()?;
    let answer = interruptible(move || ask_now(&question)).await;
    drop(hidden);
    eprintln!();
    answer
}

/// Reads a line of stdin without its end.
pub(crate) async fn read_line() -> Result<String> {
    interruptible(read_now).await
}

/// Reads all of stdin, as far as anybody writes what belongs there.
pub(crate) async fn read_all() -> Result<String> {
    interruptible(|| {
        let mut text = String::new();
        std::io::stdin().lock().take(LONGEST).read_to_string(&mut text).context("can't read stdin")?;
        Ok(text)
    })
    .await
}

/// Asks before something is done; without a terminal `--yes` has to say so.
pub(crate) async fn agree(yes: &Yes, question: &str, refusal: &str) -> Result<()> {
    if yes.yes {
        return Ok(());
    }
    if !is_interactive() {
        return Err(Usage::new(format!("add --yes: there is no terminal to ask at; {refusal}")).into());
    }
    let answer = ask(format!("{question} [y/N]")).await?;
    if matches!(answer.to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    bail!("{refusal}");
}

/// Reads on a thread, which is left behind when nobody waits for the answer any more.
async fn interruptible(read: impl FnOnce() -> Result<String> + Send + 'static) -> Result<String> {
    tokio::task::spawn_blocking(read).await.context("the question broke off")?
}

fn ask_now(question: &str) -> Result<String> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{}: ", printable(question))?;
    stderr.flush()?;
    read_now()
}

fn read_now() -> Result<String> {
    let mut text = String::new();
    if std::io::stdin().lock().read_line(&mut text).context("can't read stdin")? == 0 {
        bail!("stdin ended before an answer");
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The terminal without echo, until dropped, also by Ctrl-C.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn start() -> Result<Self> {
        let before = tcgetattr(std::io::stdin()).context("can't read the terminal's settings")?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &quiet).context("can't hide what is typed")?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing is left to try when the terminal is gone.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &self.before);
    }
}
