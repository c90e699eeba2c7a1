use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::capture::Damage;
use super::formats::{Formats, Payload};
use super::streams::{Contents, Found, Stream};
use super::transit::Spread;
use crate::audio::MediaFormat;
use crate::call::Transport;
use crate::wire::PayloadType;

/// What was found in a capture.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    file: PathBuf,
    /// `pcap` or `pcapng`.
    container: &'static str,
    contents: Contents,
    /// What is wrong with the capture itself.
    notes: Vec<String>,
    streams: Vec<StreamReport>,
}

/// One stream.
#[derive(Debug, Serialize)]
pub(super) struct StreamReport {
    number: usize,
    from: String,
    to: String,
    ssrc: String,
    /// What it was decoded as.
    format: Option<MediaFormat>,
    payload_types: Vec<PayloadTypeReport>,
    packets: u64,
    /// Since the capture's first frame.
    #[serde(rename = "first_packet_ms", serialize_with = "millis")]
    first: Duration,
    #[serde(rename = "last_packet_ms", serialize_with = "millis")]
    last: Duration,
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    duration: Duration,
    /// What the timestamp's clock runs at, where it is near a rate that formats have.
    clock_hz: Option<u32>,
    /// In milliseconds above the least.
    pub(super) transit_ms: Option<Spread>,
    /// What the engine has counted: the fields of `CallStats`, without those of sending.
    pub(super) stats: Option<Value>,
    pub(super) wav: Option<WavReport>,
    pub(super) plot: Option<PathBuf>,
    /// What can be done about packets that were not decoded.
    hints: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PayloadTypeReport {
    payload_type: u8,
    carries: Option<&'static str>,
    packets: u64,
}

/// A WAV file that was written.
#[derive(Debug, Serialize)]
pub(super) struct WavReport {
    pub(super) path: PathBuf,
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub(super) duration: Duration,
    /// Samples that did not fit: the header of a WAV file counts to 4 GiB.
    pub(super) beyond_samples: u64,
}

/// Writes a duration as milliseconds, for JSON.
pub(super) fn millis<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64() * 1e3)
}

impl Report {
    pub(super) fn new(file: PathBuf, found: &Found, streams: Vec<StreamReport>) -> Self {
        let (container, contents) = (found.container.name, found.contents.clone());
        let notes = notes(found);
        Self { file, container, contents, notes, streams }
    }

    /// Writes the report as one JSON object.
    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    /// Writes the report for people.
    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let Contents { frames, datagrams, rtp, rtcp, duration, .. } = &self.contents;
        writeln!(
            out,
            "{}: {}, {:.3} s, {frames} frames, {datagrams} UDP datagrams, {rtp} of RTP in {}, \
             {rtcp} of RTCP",
            self.file.display(),
            self.container,
            duration.as_secs_f64(),
            if self.streams.len() == 1 {
                "one stream".to_owned()
            } else {
                format!("{} streams", self.streams.len())
            },
        )?;
        for note in &self.notes {
            writeln!(out, "NOTE  {note}")?;
        }
        for stream in &self.streams {
            stream.write_text(out)?;
        }
        Ok(())
    }
}

/// What is wrong with a capture, or hides something from the analysis.
pub(super) fn notes(found: &Found) -> Vec<String> {
    let Contents { fragments, cut, unknown_links, untimed, unfollowed, back_in_time, .. } =
        &found.contents;
    let mut notes = Vec::new();
    match found.container.damage {
        Some(Damage::Truncated { offset }) => notes.push(format!(
            "the file is truncated: it ends within the record at byte {offset}; what is before it \
             was analysed"
        )),
        Some(Damage::Malformed { offset }) => notes.push(format!(
            "the file is damaged: there is no record at byte {offset}; what is before it was \
             analysed"
        )),
        None => {}
    }
    let mut note = |count: u64, what: &str| {
        if count > 0 {
            notes.push(format!("{count} {what}"));
        }
    };
    note(*fragments, "fragments of UDP datagrams were skipped");
    note(*cut, "frames were captured in part and skipped; capture with a snap length of 0");
    note(*untimed, "packets have no time and were skipped");
    note(*unfollowed, "datagrams may be RTP but were left out: too many others may be");
    note(*back_in_time, "frames have an earlier time than one before them");
    for (link, count) in unknown_links {
        note(*count, &format!("frames of the unknown link type {link} were skipped"));
    }
    notes
}

impl StreamReport {
    pub(super) fn new(number: usize, stream: &Stream, formats: &Formats) -> Self {
        let carries = |number: u8| formats.of(PayloadType::new(number)?).map(Payload::name);
        Self {
            number,
            from: stream.key.from.to_string(),
            to: stream.key.to.to_string(),
            ssrc: format!("{:#010x}", stream.key.ssrc.0),
            format: stream.format,
            payload_types: stream
                .payload_types
                .iter()
                .map(|(&number, &packets)| PayloadTypeReport {
                    payload_type: number,
                    carries: carries(number),
                    packets,
                })
                .collect(),
            packets: stream.packets,
            first: stream.first,
            last: stream.last,
            duration: stream.last - stream.first,
            clock_hz: stream.clock_hz,
            transit_ms: None,
            stats: None,
            wav: None,
            plot: None,
            hints: hints(stream, formats),
        }
    }

    /// Who sends to whom, on one line.
    pub(super) fn title(&self) -> String {
        let format = self.format.map_or("not decoded", MediaFormat::asterisk_name);
        let Self { number, from, to, ssrc, .. } = self;
        format!("stream {number}  {from} -> {to}  SSRC {ssrc}  {format}")
    }

    fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n{}", self.title())?;
        let mut rows = Vec::new();
        let mut row = |name: &str, figure: String| rows.push((name.to_owned(), figure));
        let seconds = Duration::as_secs_f64;
        row("packets", self.packets.to_string());
        row(
            "time",
            format!(
                "{:.3} s, from {:.3} s to {:.3} s of the capture",
                seconds(&self.duration),
                seconds(&self.first),
                seconds(&self.last)
            ),
        );
        let types = self.payload_types.iter().map(|one| {
            let carries = one.carries.unwrap_or("unknown");
            format!("{} {carries} ({})", one.payload_type, one.packets)
        });
        row("payload types", types.collect::<Vec<_>>().join(", "));
        row("clock", self.clock_hz.map_or("not clear".to_owned(), |rate| format!("{rate} Hz")));
        if let Some(Spread { min, median, p95, max }) = self.transit_ms {
            let figures = [min, median, p95, max].map(|ms| format!("{ms:.1}")).join(" / ");
            row("transit min / median / p95 / max", format!("{figures} ms above the least"));
        }
        if let Some(stats) = &self.stats {
            flatten("", stats, &mut row);
        }
        if let Some(wav) = &self.wav {
            let duration = seconds(&wav.duration);
            row("audio", format!("{} ({duration:.3} s)", wav.path.display()));
            if wav.beyond_samples > 0 {
                row("audio left out", format!("{} samples behind 4 GiB", wav.beyond_samples));
            }
        }
        if let Some(plot) = &self.plot {
            row("plot", plot.display().to_string());
        }
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, figure) in rows {
            writeln!(out, "  {name:<width$}  {figure}")?;
        }
        for hint in &self.hints {
            writeln!(out, "  HINT  {hint}")?;
        }
        Ok(())
    }
}

/// A row per figure of the engine's statistics, those within others under both names.
fn flatten(prefix: &str, value: &Value, row: &mut impl FnMut(&str, String)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{name}"), value, row);
            }
        }
        Value::Number(number) if number.is_f64() => {
            row(prefix, format!("{:.2}", number.as_f64().unwrap_or_default()));
        }
        Value::Null => row(prefix, "-".to_owned()),
        other => row(prefix, other.to_string()),
    }
}

/// Which flag decodes what was not decoded.
fn hints(stream: &Stream, formats: &Formats) -> Vec<String> {
    let hint = |(&number, packets): (&u8, &u64)| match formats.of(PayloadType::new(number)?) {
        None => {
            let fits = stream.clock_hz.map_or_else(String::new, |rate| {
                let fitting = Transport::Rtp.formats().iter();
                let fitting = fitting.filter(|format| format.clock_rate().hz() == rate);
                let names: Vec<_> = fitting.map(|format| format.asterisk_name()).collect();
                format!("; the clock of {rate} Hz is that of {}", names.join(", "))
            });
            Some(format!(
                "payload type {number} ({packets} packets) is unknown: say --format \
                 {number}=FORMAT{fits}"
            ))
        }
        Some(Payload::Audio(format)) if Some(format) != stream.format => Some(format!(
            "{packets} packets are in {format} and were left out: a stream is decoded in the \
             format of most packets"
        )),
        Some(_) => None,
    };
    stream.payload_types.iter().filter_map(hint).collect()
}
