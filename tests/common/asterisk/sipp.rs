//! SIPp as the telephone.

use std::fs;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::Asterisk;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Who ends the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SippScenario {
    /// SIPp sends BYE after this time.
    HangsUpAfter(Duration),
    /// Asterisk must send BYE within this time.
    IsHungUpWithin(Duration),
}

/// A running SIPp. Dropping it kills the process.
#[derive(Debug)]
pub struct Sipp {
    process: Child,
    errors: std::path::PathBuf,
}

impl Sipp {
    /// Dials `extension` of the context `sidetone` and plays `ulaw` once as soon as it is answered.
    ///
    /// # Panics
    ///
    /// When SIPp is not installed.
    pub fn call(asterisk: &Asterisk, extension: &str, ulaw: &[u8], scenario: SippScenario) -> Self {
        assert!(asterisk.installation.has("sipp"), "SIPp is not installed (package sip-tester)");
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        // One Asterisk has 32 places; a test binary that uses them all in turn starts over.
        let place = n % 32;
        let audio = asterisk.put_file(&format!("sipp-{n}.ulaw"), ulaw);
        let (text, limit) = match scenario {
            SippScenario::HangsUpAfter(time) => (include_str!("sipp/uac_bye.xml"), time),
            SippScenario::IsHungUpWithin(time) => (include_str!("sipp/uac_wait_bye.xml"), time),
        };
        let text =
            text.replace("AUDIO", &audio).replace("DURATION_MS", &limit.as_millis().to_string());
        let xml = asterisk.put_file(&format!("sipp-{n}.xml"), text.as_bytes());
        let errors = asterisk.put_file(&format!("sipp-{n}.errors"), b"");
        let (first, last) = asterisk.ports.sipp_media(place);
        let process = asterisk
            .installation
            .command("sipp")
            .arg(format!("127.0.0.1:{}", asterisk.sip_port()))
            .args(["-sf", &xml, "-s", extension, "-i", "127.0.0.1", "-m", "1", "-nostdin"])
            .args(["-p", &asterisk.ports.sipp(place).to_string()])
            .args(["-min_rtp_port", &first.to_string(), "-max_rtp_port", &last.to_string()])
            .args(["-timeout", &(limit.as_secs() + 10).to_string(), "-timeout_error"])
            .args(["-trace_err", "-error_file", &errors])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sipp was found above");
        let errors = asterisk.folder().join("sounds").join(format!("sipp-{n}.errors"));
        Self { process, errors }
    }

    /// Waits for the end of the call.
    ///
    /// # Panics
    ///
    /// When a message came that the scenario does not expect, or one did not come.
    #[track_caller]
    pub fn wait(mut self) {
        let status = self.process.wait().expect("a child can be waited for");
        assert!(
            status.success(),
            "the SIP call failed ({status}): {}",
            fs::read_to_string(&self.errors).unwrap_or_default()
        );
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
