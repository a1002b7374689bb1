//! `orgplane login`.

use std::path::PathBuf;

use clap::Args;

use super::Connection;

const EXAMPLES: &str = "\
Without an email address you are asked for a token, which the server's page /cli-auth shows in a browser. With one, the
password comes from --password-file, ORGPLANE_PASSWORD, a question at the terminal, or a line on stdin.

Examples:
  orgplane login http://127.0.0.1:3000
  orgplane login https://orgplane.example.com --token-file - < token
  orgplane login https://orgplane.example.com --email ada@example.com --password-file password
  orgplane login http://127.0.0.1:3000 --first-user-username ada --first-user-email ada@example.com < password";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Login {
    /// The server's URL; by default --url.
    #[arg(value_name = "SERVER")]
    pub(crate) server: Option<String>,
    /// Your email address, to sign in with a password.
    #[arg(long, env = "ORGPLANE_EMAIL")]
    pub(crate) email: Option<String>,
    /// A file with the password on its first line; `-` is stdin.
    #[arg(long, value_name = "FILE", env = "ORGPLANE_PASSWORD_FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// On a server without users: the username of the first one, who owns it.
    #[arg(long, value_name = "NAME", env = "ORGPLANE_FIRST_USER_USERNAME")]
    pub(crate) first_user_username: Option<String>,
    /// On a server without users: the first one's email address.
    #[arg(long, value_name = "EMAIL", env = "ORGPLANE_FIRST_USER_EMAIL")]
    pub(crate) first_user_email: Option<String>,
    /// On a server without users: the first one's full name.
    #[arg(
        long,
        value_name = "NAME",
        env = "ORGPLANE_FIRST_USER_FULL_NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) first_user_full_name: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane logout")]
pub(crate) struct Logout {
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane whoami -o json")]
pub(crate) struct Whoami {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: super::Output,
}
