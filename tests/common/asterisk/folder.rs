//! The folder of one instance: the shipped configuration, and what this instance has of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::ports::PortBlock;
use super::{ARI_PASSWORD, ARI_USER, Installation, Options};

/// Inside the root. Short: the path of Asterisk's control socket may have 107 bytes.
const INSIDE: &str = "/srv/sidetone";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Removed with everything in it on drop, unless `SIDETONE_KEEP` is set.
#[derive(Debug)]
pub(super) struct Folder {
    outside: PathBuf,
    inside: String,
}

impl Folder {
    pub(super) fn create(
        installation: &Installation,
        ports: &PortBlock,
        options: &Options,
    ) -> Self {
        let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (parent, inside) = match installation {
            Installation::Root(root) => (root.join(&INSIDE[1..]), format!("{INSIDE}/{name}")),
            Installation::Path => {
                let parent = std::env::temp_dir().join("sidetone-asterisk");
                let inside = parent.join(&name).to_str().expect("a UTF-8 path").to_owned();
                (parent, inside)
            }
        };
        remove_abandoned(&parent);
        let outside = parent.join(name);
        let _ = fs::remove_dir_all(&outside);
        let folder = Self { outside, inside };
        for part in
            ["etc/local", "etc/keys", "lib", "log", "run", "spool/recording", "cache", "sounds"]
        {
            fs::create_dir_all(folder.outside.join(part)).expect("the folder is writable");
        }
        folder.write_configuration(ports, options);
        folder
    }

    /// This path as Asterisk sees it.
    pub(super) fn inside(&self, path: &str) -> String {
        format!("{}/{path}", self.inside)
    }

    /// The folder as this process sees it.
    pub(super) fn outside(&self) -> &Path {
        &self.outside
    }

    /// Remembers the process that runs here, for whoever finds the folder abandoned.
    pub(super) fn note_process(&self, pid: u32) {
        self.write("pid", &pid.to_string());
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.outside.join(path), text).expect("the folder is writable");
    }

    fn write_configuration(&self, ports: &PortBlock, options: &Options) {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/asterisk/etc");
        for entry in fs::read_dir(&shipped).expect("the repository has docker/asterisk/etc") {
            let file = entry.expect("readable").path();
            if file.is_file() {
                let name = file.file_name().expect("a file has a name");
                fs::copy(&file, self.outside.join("etc").join(name)).expect("readable");
            }
        }

        let mut main = fs::read_to_string(shipped.join("asterisk.conf")).expect("it is shipped");
        main.push_str("\n[directories](+)\n");
        for (key, part) in [
            ("astcachedir", "cache"),
            ("astetcdir", "etc"),
            ("astvarlibdir", "lib"),
            ("astdbdir", "lib"),
            ("astkeydir", "lib"),
            ("astspooldir", "spool"),
            ("astrundir", "run"),
            ("astlogdir", "log"),
        ] {
            main.push_str(&format!("{key} => {}\n", self.inside(part)));
        }
        self.write("etc/asterisk.conf", &main);

        let mut http = format!("bindport = {}\n", ports.http());
        if let Some((certificate, key)) = &options.tls {
            self.write("etc/keys/asterisk.crt", certificate);
            self.write("etc/keys/asterisk.key", key);
            http.push_str(&format!(
                "tlsenable = yes\ntlsbindaddr = 127.0.0.1:{}\ntlscertfile = {}\ntlsprivatekey = {}\n",
                ports.https(),
                self.inside("etc/keys/asterisk.crt"),
                self.inside("etc/keys/asterisk.key"),
            ));
        }
        self.write("etc/local/http.conf", &http);
        self.write("etc/local/ari.conf", &format!("[{ARI_USER}](+)\npassword = {ARI_PASSWORD}\n"));
        let (first, last) = ports.rtp();
        self.write("etc/local/rtp.conf", &format!("rtpstart = {first}\nrtpend = {last}\n"));
        self.write(
            "etc/local/pjsip.conf",
            &format!("[transport-udp](+)\nbind = 127.0.0.1:{}\n", ports.sip()),
        );
        if let Some(address) = &options.audiosocket {
            self.write("etc/local/globals.conf", &format!("SIDETONE_AUDIOSOCKET = {address}\n"));
        }
        let contexts = include_str!("extensions.conf");
        self.write("etc/local/extensions.conf", &format!("{contexts}\n{}\n", options.dialplan));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::env::var_os("SIDETONE_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.outside);
        }
    }
}

/// Ends and removes what a killed test run left behind: folders are named `<pid>-<n>` after the
/// test process.
fn remove_abandoned(parent: &Path) {
    // Without /proc nobody can be known to be dead.
    if !Path::new("/proc/self").exists() {
        return;
    }
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|n| n.split_once('-')?.0.parse::<u32>().ok());
        let Some(owner) = owner else { continue };
        if Path::new(&format!("/proc/{owner}")).exists() {
            continue;
        }
        if let Some(pid) = fs::read_to_string(entry.path().join("pid")).ok()
            && let Ok(command) = fs::read_to_string(format!("/proc/{pid}/cmdline"))
            && name.to_str().is_some_and(|name| command.contains(&format!("/{name}/")))
        {
            let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
        }
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// A raw 16-bit recording made by Asterisk (`.sln`, `.sln16` ...), or any other file.
#[derive(Debug, Clone)]
pub struct Recording {
    path: PathBuf,
}

impl Recording {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is, or will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its samples so far; none when it does not exist.
    pub fn samples(&self) -> Vec<i16> {
        let bytes = fs::read(&self.path).unwrap_or_default();
        bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }
}
