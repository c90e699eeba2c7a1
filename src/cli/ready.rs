use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::server::Server;

/// Where a server listens, for whoever started it.
#[derive(Serialize)]
struct Ready {
    pid: u32,
    rtp: Vec<String>,
    audiosocket: Option<String>,
    api: Option<String>,
}

/// A file that is there, whole, while the server is ready.
pub(super) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Takes away what an earlier process left, so that the file tells of this one only.
    ///
    /// # Errors
    /// Where it cannot be taken away.
    pub(super) fn clear(path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes the file under another name, then gives it its own.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(super) fn write(path: &Path, server: &Server) -> io::Result<Self> {
        let pid = std::process::id();
        let ready = Ready {
            pid,
            rtp: server.rtp_addresses().iter().map(ToString::to_string).collect(),
            audiosocket: server.audiosocket_address().map(|address| address.to_string()),
            api: server.api_address().map(|address| address.to_string()),
        };
        let mut text = serde_json::to_vec(&ready)?;
        text.push(b'\n');
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{pid}"));
        let unfinished = PathBuf::from(name);
        let written = fs::write(&unfinished, text).and_then(|()| fs::rename(&unfinished, path));
        if let Err(error) = written {
            // Nothing more can be done about it.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        Ok(Self(path.to_owned()))
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // Gone already, or left to the next start.
        let _ = fs::remove_file(&self.0);
    }
}
