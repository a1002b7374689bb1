//! Questions to the person at the terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result, bail};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Yes;
use crate::error::{Interrupted, Usage};
use crate::output::printable;

/// Whether somebody can answer.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks for a line.
pub(crate) fn ask(question: &str) -> Result<String> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{}: ", printable(question))?;
    stderr.flush()?;
    read_line()
}

/// Asks for a line that isn't shown.
pub(crate) fn ask_hidden(question: &str) -> Result<String> {
    let hidden = Hidden::start()?;
    let answer = ask(question);
    drop(hidden);
    eprintln!();
    answer
}

/// Asks a question that is answered with yes or no; no unless said otherwise.
pub(crate) fn confirm(question: &str) -> Result<bool> {
    Ok(matches!(ask(&format!("{question} [y/N]"))?.to_lowercase().as_str(), "y" | "yes"))
}

/// Asks before something is done; without a terminal `--yes` has to say so.
pub(crate) async fn agree(yes: &Yes, question: &str, refusal: &str) -> Result<()> {
    if yes.yes {
        return Ok(());
    }
    if !is_interactive() {
        return Err(Usage::new(format!("add --yes: there is no terminal to ask at; {refusal}")).into());
    }
    let question = question.to_owned();
    if interruptible(move || confirm(&question)).await? {
        return Ok(());
    }
    bail!("{refusal}");
}

/// Asks in a way that Ctrl-C ends, also once the program catches it.
pub(crate) async fn interruptible<T: Send + 'static>(ask: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let mut interrupts = signal(SignalKind::interrupt()).context("can't catch signals")?;
    let before = tcgetattr(std::io::stdin()).ok();
    tokio::select! {
        answer = tokio::task::spawn_blocking(ask) => answer.context("the question broke off")?,
        _ = interrupts.recv() => {
            // The thread that waits for the answer is left behind, and with it what would show typed text again.
            if let Some(before) = before {
                let _ = tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &before);
            }
            Err(Interrupted::new("nothing was answered").into())
        }
    }
}

/// Reads a line of stdin without its end.
pub(crate) fn read_line() -> Result<String> {
    let mut text = String::new();
    if std::io::stdin().lock().read_line(&mut text).context("can't read stdin")? == 0 {
        bail!("stdin ended before an answer");
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The terminal without echo, until dropped.
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
