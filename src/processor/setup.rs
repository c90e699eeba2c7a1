use super::Waker;
use crate::audio::SampleRate;
use crate::call::CallInfo;

/// What a processor is made for.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The call.
    pub call: &'a CallInfo,
    /// Rate of the call's audio.
    pub rate: SampleRate,
    /// Lets the call's processors be woken from outside of the shard.
    pub waker: &'a Waker,
}
