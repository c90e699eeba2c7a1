//! The program's command line: what it prints, its exit codes, and how it is stopped.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Far beyond what any step takes.
const LIMIT: Duration = Duration::from_secs(20);
/// How often what has no event of its own is looked at.
const POLL: Duration = Duration::from_millis(5);
/// One shard on free ports of loopback, quick to stop.
const FREE_PORTS: &str = "[server]\nshards = 1\ngrace_ms = 100\n[rtp]\nport = 0\n\
                          [audiosocket]\nbind = \"127.0.0.1:0\"\n[api]\nbind = \"127.0.0.1:0\"\n";

/// The program without the environment of the test.
fn sidetone(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidetone"));
    command.args(arguments).env_clear();
    command
}

fn output(arguments: &[&str]) -> Output {
    sidetone(arguments).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_wrong_command_line_gets_usage_and_code_64() {
    for arguments in [
        &["serve", "--nonsense"][..],
        &["serve", "--config"],
        &["check-config"],
        &["nonsense"],
        &["demo", "nonsense"],
        &[],
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(text(&output.stderr).contains("Usage: sidetone"), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for (arguments, told) in [
        (&["--help"][..], "sidetone serve --config FILE"),
        (&["serve", "--help"], "SIDETONE__SECTION__KEY"),
        (&["check-config", "--help"], "<FILE>"),
        (&["demo", "--help"], "Usage: sidetone demo"),
        (&["--version"], concat!("sidetone ", env!("CARGO_PKG_VERSION"))),
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text(&output.stdout).contains(told), "{arguments:?}: {}", text(&output.stdout));
    }
}

#[test]
fn a_good_configuration_is_summed_up() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/sidetone.toml");
    let output = output(&["check-config", file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.starts_with(&format!("{file}: ok\n")), "{told}");
    assert!(told.contains("asterisk: http://127.0.0.1:8088 as sidetone"), "{told}");
    assert!(told.contains("echo (default): echo"), "{told}");
    assert!(!told.contains("warning"), "{told}");
}

#[test]
fn a_wrong_configuration_is_told_whole_with_code_64_by_both_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f.toml");
    fs::write(&path, "[rtp]\nport = -1\n[lgo]\nlevel = 5\n").expect("the file");
    let file = path.to_str().expect("UTF-8");
    let ready = folder.path().join("ready");
    let ready_file = ready.to_str().expect("UTF-8");
    for arguments in
        [&["check-config", file][..], &["serve", "--config", file, "--ready-file", ready_file]]
    {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let told = text(&output.stderr);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 2, "{told}");
        assert!(lines[0].ends_with("f.toml:2: rtp.port: -1 is not allowed; allowed: 0 to 65535"));
        assert!(lines[1].contains("f.toml:3: lgo: unknown key, did you mean `log`?"), "{told}");
    }
    assert!(!ready.exists());
}

#[test]
fn flags_and_the_environment_are_checked_as_the_file_is() {
    let output = sidetone(&["serve", "--rtp-port", "x", "--pipeline", "y"])
        .env("SIDETONE__API__ENABLED", "maybe")
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(64));
    let told = text(&output.stderr);
    for part in [
        "environment SIDETONE__API__ENABLED: api.enabled: ",
        "flag --rtp-port: rtp.port: ",
        "flag --pipeline: pipelines.default: ",
    ] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
}

#[test]
fn a_port_that_is_taken_is_told_with_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f.toml");
    fs::write(&path, FREE_PORTS).expect("the file");
    let file = path.to_str().expect("UTF-8");
    let output = output(&["serve", "--config", file, "--api-bind", &address]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains(&format!("cannot bind api.bind to {address}")), "{told}");
}

/// A server that runs until it is told to stop, or the test is over.
struct Serving {
    child: Child,
    log: Receiver<String>,
    folder: TempDir,
    ready: Value,
    /// The log up to the line that says that it serves.
    starting: Vec<String>,
}

impl Serving {
    fn start(configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("f.toml");
        fs::write(&file, configuration).expect("the file");
        // What an earlier server left.
        let ready = folder.path().join("ready");
        fs::write(&ready, "stale").expect("the file");
        let mut child = sidetone(&["serve"])
            .arg("--config")
            .arg(&file)
            .arg("--ready-file")
            .arg(&ready)
            .current_dir(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (sender, log) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut serving = Self { child, log, folder, ready: Value::Null, starting: Vec::new() };
        serving.starting = serving.wait_for("serving");
        let text = fs::read(serving.ready_file()).expect("the ready file");
        serving.ready = serde_json::from_slice(&text).expect("JSON");
        serving
    }

    fn ready_file(&self) -> std::path::PathBuf {
        self.folder.path().join("ready")
    }

    /// Waits for a line of the log, and answers all up to that.
    fn wait_for(&self, part: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.log.recv_timeout(LIMIT);
            lines.push(line.unwrap_or_else(|_| panic!("{part:?} is not logged")));
            if lines.last().is_some_and(|line| line.contains(part)) {
                return lines;
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(status.success());
    }

    fn address(&self, key: &str) -> &str {
        self.ready[key].as_str().expect("an address")
    }

    /// The exit code, once the log has ended.
    fn code(&mut self) -> Option<i32> {
        while self.log.recv_timeout(LIMIT).is_ok() {}
        self.child.wait().expect("the program has ended").code()
    }

    /// A call over AudioSocket that lasts until it is dropped.
    fn call(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address("audiosocket")).expect("a connection");
        let mut frames = vec![1, 0, 16];
        frames.extend([7; 16]);
        stream.write_all(&frames).expect("the UUID is sent");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let mut first = [0; 3];
        // Silence comes at once only where the format is known: audio makes it known.
        stream.write_all(&[0x10, 0, 2, 0, 0]).expect("audio is sent");
        stream.read_exact(&mut first).expect("audio comes back");
        stream
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already, where the test has gone well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_ready_file_tells_where_the_server_listens_and_goes_with_it() {
    let mut server = Serving::start(FREE_PORTS);
    assert_eq!(server.ready["pid"], server.child.id());
    assert_eq!(server.ready["rtp"].as_array().map(Vec::len), Some(1));
    for key in ["audiosocket", "api"] {
        TcpStream::connect(server.address(key)).expect("somebody listens");
    }
    server.signal("TERM");
    assert_eq!(server.code(), Some(0));
    assert!(!Path::new(&server.ready_file()).exists());
}

#[test]
fn a_signal_ends_calls_after_the_grace_period() {
    let mut server = Serving::start(FREE_PORTS);
    let _call = server.call();
    server.signal("INT");
    server.wait_for("the grace period is over");
    server.wait_for("stopped");
    assert_eq!(server.code(), Some(0));
}

#[test]
fn a_server_that_logs_nothing_serves_until_it_is_told_to_stop() {
    for level in ["warn", "error"] {
        let quiet = format!("{FREE_PORTS}[log]\nlevel = \"{level}\"\n");
        let folder = tempfile::tempdir().expect("a folder");
        let (file, ready) = (folder.path().join("f.toml"), folder.path().join("ready"));
        fs::write(&file, quiet).expect("the file");
        let child = sidetone(&["serve"])
            .arg("--config")
            .arg(&file)
            .arg("--ready-file")
            .arg(&ready)
            .spawn()
            .expect("the program runs");
        let (_, log) = channel();
        let mut server = Serving { child, log, folder, ready: Value::Null, starting: Vec::new() };
        // Written whole, under another name.
        while !ready.exists() {
            assert_eq!(server.child.try_wait().expect("a status"), None, "ended at {level}");
            thread::park_timeout(POLL);
        }
        server.ready =
            serde_json::from_slice(&fs::read(&ready).expect("the ready file")).expect("JSON");
        drop(server.call());
        assert_eq!(server.child.try_wait().expect("a status"), None, "ended at {level}");
        server.signal("TERM");
        assert_eq!(server.code(), Some(0));
    }
}

/// The nice value of a thread: field 19 in proc_pid_stat(5). Nothing where no thread has that name
/// yet.
fn nice(process: u32, thread: &str) -> Option<i32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let mut found = stats.filter_map(|stat| {
        let (head, rest) = stat.rsplit_once(") ")?;
        // The first one behind the name is the third.
        let nice = rest.split(' ').nth(19 - 3)?.parse().expect("a number");
        head.ends_with(&format!("({thread}")).then_some(nice)
    });
    found.next()
}

#[test]
fn threads_that_carry_no_media_stand_back_behind_those_that_do() {
    let server = Serving::start(FREE_PORTS);
    let nice = |thread| nice(server.child.id(), thread);
    let shard = nice("shard-0").expect("a shard");
    for other in ["control", "recordings"] {
        // It has its name, and then its nice value, soon after it has begun.
        let mut left = LIMIT;
        while nice(other) != Some((shard + 10).min(19)) {
            left = left.checked_sub(POLL).unwrap_or_else(|| panic!("{other}: {:?}", nice(other)));
            thread::park_timeout(POLL);
        }
    }
}

#[test]
fn threads_that_carry_media_go_first_or_a_warning_says_why_not() {
    let asked = FREE_PORTS.replace("[server]\n", "[server]\nshard_nice = -20\n");
    let server = Serving::start(&asked);
    let told = |part: &str| server.starting.iter().any(|line| line.contains(part));
    // Whether it is permitted is a matter of the machine.
    let goes_first = nice(server.child.id(), "shard-0") == Some(-20);
    assert_eq!(told("threads that carry media go first"), goes_first, "{:?}", server.starting);
    assert_eq!(told("LimitNICE="), !goes_first, "{:?}", server.starting);
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut server = Serving::start(&FREE_PORTS.replace("grace_ms = 100", "grace_ms = 3600000"));
    let _call = server.call();
    server.signal("TERM");
    server.wait_for("stopping");
    server.signal("INT");
    assert_eq!(server.code(), Some(1));
}
