use std::collections::VecDeque;

use crate::call::Destination;
use crate::event::EventKind;
use crate::processor::Context;
use crate::processor::player::{Fed, PlaySource};

/// What the bot has to say, behind what the call's queue has room for, and in order with it.
#[derive(Debug, Default)]
pub(super) struct Voice {
    items: VecDeque<Item>,
    /// Samples in them.
    samples: usize,
    /// Marks that stand in the call's queue, in order.
    marks: VecDeque<String>,
}

/// One thing that has its place in what is said.
#[derive(Debug)]
pub(super) enum Item {
    /// At the call's rate; so many samples of it have gone.
    Audio { samples: Vec<i16>, gone: usize },
    /// To be told when all before it has been sent.
    Mark(String),
    /// A file or tones, by this name.
    Source { name: String, source: PlaySource },
    /// The call ends when all before it has been sent.
    Hangup,
    /// The caller goes on elsewhere when all before it has been sent, or the call ends where there is
    /// no way.
    Leave(Destination),
}

/// What [`Voice::clear`] threw away.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Dropped {
    pub(super) samples: usize,
    pub(super) marks: Vec<String>,
    /// The call was to end behind it.
    pub(super) end: bool,
}

impl Voice {
    /// Adds something behind all that is there.
    pub(super) fn push(&mut self, item: Item) {
        if let Item::Audio { samples, .. } = &item {
            self.samples += samples.len();
        }
        self.items.push_back(item);
    }

    /// Hands on what there is room for. `sent` says that all of the call's queue has been sent.
    pub(super) fn flow(&mut self, sent: bool, cx: &mut Context<'_>) {
        while let Some(item) = self.items.front_mut() {
            match item {
                Item::Audio { samples, gone } => {
                    let taken = cx.play(&samples[*gone..]);
                    *gone += taken;
                    self.samples -= taken;
                    if *gone < samples.len() {
                        return;
                    }
                }
                Item::Mark(name) => {
                    cx.mark(name);
                    self.marks.push_back(std::mem::take(name));
                }
                Item::Source { name, source } => match source.feed(cx) {
                    Fed::More => return,
                    Fed::Ended => {}
                    Fed::Failed(error) => {
                        let (source, error) = (std::mem::take(name), error.to_string());
                        cx.emit(EventKind::PlaybackFailed { source, error });
                    }
                },
                Item::Hangup | Item::Leave(_) if !sent => return,
                Item::Hangup => cx.hangup(),
                Item::Leave(destination) => {
                    if cx.transfer(destination.clone()).is_err() {
                        cx.hangup();
                    }
                }
            }
            self.items.pop_front();
        }
    }

    /// Throws away all that has not been handed on.
    pub(super) fn clear(&mut self) -> Dropped {
        let mut dropped =
            Dropped { samples: std::mem::take(&mut self.samples), ..Dropped::default() };
        for item in self.items.drain(..) {
            match item {
                Item::Mark(name) => dropped.marks.push(name),
                Item::Hangup | Item::Leave(_) => dropped.end = true,
                Item::Audio { .. } | Item::Source { .. } => {}
            }
        }
        dropped
    }

    /// Whether a mark that the call tells of is the bot's: then it waits no more.
    pub(super) fn owns_mark(&mut self, name: &str) -> bool {
        let place = self.marks.iter().position(|mark| mark == name);
        place.and_then(|place| self.marks.remove(place)).is_some()
    }

    /// Samples that wait here.
    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// Whether nothing waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
