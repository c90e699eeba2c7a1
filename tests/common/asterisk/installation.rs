//! Where an Asterisk can be had: a private root, or the PATH.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

/// The oldest Asterisk that the tests are written for.
const OLDEST: u32 = 20;

/// An Asterisk that can be started.
#[derive(Debug, Clone)]
pub enum Installation {
    /// A root made by `docker/asterisk/root.sh`, entered with `chroot`.
    Root(PathBuf),
    /// `asterisk` on the PATH.
    Path,
}

/// Why there is no Asterisk for the tests.
#[derive(Debug, Clone, Error)]
pub enum Unavailable {
    /// No root, and nothing on the PATH.
    #[error("no asterisk on the PATH and no root at {}: run docker/asterisk/root.sh", .root.display())]
    NotFound {
        /// Where the root was looked for.
        root: PathBuf,
    },
    /// A root is there, but `chroot` needs the user root.
    #[error("the root at {} needs chroot, and this user may not: run the tests as root", .root.display())]
    NotPermitted {
        /// The root that was found.
        root: PathBuf,
    },
    /// Too old to serve these tests.
    #[error("asterisk on the PATH is {version}, the tests need {OLDEST} or later")]
    TooOld {
        /// What `asterisk -V` printed.
        version: String,
    },
}

impl Installation {
    /// A command that runs `program` of this installation.
    pub(super) fn command(&self, program: &str) -> Command {
        match self {
            Self::Path => Command::new(program),
            Self::Root(root) => {
                let mut command = Command::new("chroot");
                command.arg(root).arg(program);
                // The caller's own may not exist in there.
                command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
                command
            }
        }
    }

    /// Whether `program` can be run.
    pub fn has(&self, program: &str) -> bool {
        match self {
            Self::Root(root) => {
                ["usr/bin", "usr/sbin"].iter().any(|dir| root.join(dir).join(program).exists())
            }
            Self::Path => on_path(program),
        }
    }

    /// What `asterisk -V` prints: `Asterisk 22.10.1+...`.
    pub fn version(&self) -> Option<String> {
        let output = self.command("asterisk").arg("-V").stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Looks for a root first (`SIDETONE_ASTERISK_ROOT`, else the place where `root.sh` puts it), then
/// for `asterisk` on the PATH.
///
/// # Errors
///
/// [`Unavailable`] says what was found and why it will not do.
pub fn available() -> Result<Installation, Unavailable> {
    let root = root_folder();
    let entered = Installation::Root(root.clone());
    if root.join("etc/sidetone-recipe").exists() && entered.version().is_some() {
        return Ok(entered);
    }
    let refused = root.join("usr/sbin/asterisk").exists();
    match Installation::Path.version() {
        Some(version) if major(&version).is_some_and(|major| major >= OLDEST) => {
            Ok(Installation::Path)
        }
        _ if refused => Err(Unavailable::NotPermitted { root }),
        Some(version) => Err(Unavailable::TooOld { version }),
        None => Err(Unavailable::NotFound { root }),
    }
}

/// An installation, or `None` after a loud message: the test then returns, which counts as
/// skipped.
///
/// # Panics
///
/// Without an installation when the environment says `CI=true`: there, a skipped test is a failure.
pub fn require() -> Option<Installation> {
    match available() {
        Ok(installation) => Some(installation),
        Err(reason) if std::env::var_os("CI").as_deref() == Some(OsStr::new("true")) => {
            panic!("this test needs a real Asterisk: {reason}")
        }
        Err(reason) => {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            // Not `eprintln!`: the test runner would keep it back for a test that passes.
            let mut stderr = std::io::stderr().lock();
            let _ = std::io::Write::write_fmt(
                &mut stderr,
                format_args!("\n*** SKIPPED: {test} needs a real Asterisk: {reason}\n"),
            );
            None
        }
    }
}

/// The same default as `root.sh`'s.
fn root_folder() -> PathBuf {
    let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(root) = var("SIDETONE_ASTERISK_ROOT") {
        return root;
    }
    let cache = var("SIDETONE_CACHE").unwrap_or_else(|| {
        var("XDG_CACHE_HOME")
            .unwrap_or_else(|| var("HOME").unwrap_or_else(|| "/root".into()).join(".cache"))
            .join("sidetone")
    });
    cache.join("asterisk-root")
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir: PathBuf| Path::new(&dir).join(program).exists())
}

/// `Asterisk 22.10.1+dfsg` → 22; `Asterisk certified/20.7-cert1` → 20.
fn major(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(1)?;
    let number = number.rsplit('/').next()?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
