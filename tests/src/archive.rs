//! Template archives, good and bad.

use tar::{Builder, EntryType, Header};

/// A tar archive in the making.
pub struct Archive(Builder<Vec<u8>>);

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Archive")
    }
}

impl Default for Archive {
    fn default() -> Self {
        Self(Builder::new(Vec::new()))
    }
}

impl Archive {
    /// A Terraform template whose apply prints `line` through a `local-exec`.
    #[must_use]
    pub fn terraform(line: &str) -> Vec<u8> {
        let main = format!(
            r#"
            terraform {{
              required_version = ">= 1.4"
            }}

            resource "terraform_data" "hello" {{
              input = "something to remember"
              provisioner "local-exec" {{
                command = "echo {line}"
              }}
            }}
            "#
        );
        Self::default().file("main.tf", main.as_bytes()).file("README.md", b"# An example\n").finish()
    }

    /// A template of the echo engine.
    #[must_use]
    pub fn echo(script: &serde_json::Value) -> Vec<u8> {
        Self::default().file("echo.json", script.to_string().as_bytes()).finish()
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, path, "", content)
    }

    /// Adds any entry, with no regard to whether it makes sense.
    ///
    /// # Panics
    /// When the path is longer than a header takes.
    #[must_use]
    pub fn entry(mut self, kind: EntryType, path: &str, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        // The builder's own setters refuse what this must be able to write.
        let fields = header.as_gnu_mut().expect("a GNU header");
        fields.name[..path.len()].copy_from_slice(path.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).expect("memory");
        self
    }

    /// The bytes.
    ///
    /// # Panics
    /// Never: memory doesn't fail.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("memory")
    }
}
