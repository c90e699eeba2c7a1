//! The C libraries speexdsp (Asterisk's resampler) and soxr, as far as they are needed here.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use std::ptr::{NonNull, null, null_mut};

use sidetone::audio::SampleRate;

use crate::resamplers::Resample;

#[link(name = "speexdsp")]
unsafe extern "C" {
    fn speex_resampler_init(
        channels: u32,
        from: u32,
        to: u32,
        quality: c_int,
        error: *mut c_int,
    ) -> *mut c_void;
    fn speex_resampler_process_int(
        state: *mut c_void,
        channel: u32,
        input: *const i16,
        input_samples: *mut u32,
        output: *mut i16,
        output_samples: *mut u32,
    ) -> c_int;
    fn speex_resampler_destroy(state: *mut c_void);
}

/// speexdsp's resampler.
pub(crate) struct Speex(NonNull<c_void>);

impl Speex {
    /// `quality` 0 to 10.
    pub(crate) fn new(from: SampleRate, to: SampleRate, quality: c_int) -> Self {
        let mut error = 0;
        // SAFETY: values, and a place for the error.
        let state = unsafe { speex_resampler_init(1, from.hz(), to.hz(), quality, &raw mut error) };
        Self(NonNull::new(state).expect("speexdsp makes a resampler"))
    }
}

impl Resample for Speex {
    fn process(&mut self, input: &[i16], output: &mut Vec<i16>) -> usize {
        let mut taken = u32::try_from(input.len()).expect("a frame is short");
        let mut made = u32::try_from(output.len()).expect("a frame is short");
        // SAFETY: the state is alive, and both buffers are as long as is said.
        let error = unsafe {
            speex_resampler_process_int(
                self.0.as_ptr(),
                0,
                input.as_ptr(),
                &raw mut taken,
                output.as_mut_ptr(),
                &raw mut made,
            )
        };
        assert_eq!((error, taken as usize), (0, input.len()));
        made as usize
    }
}

impl Drop for Speex {
    fn drop(&mut self) {
        // SAFETY: the state is alive, and nobody else has it.
        unsafe { speex_resampler_destroy(self.0.as_ptr()) }
    }
}

/// `soxr_io_spec_t`.
#[repr(C)]
struct IoSpec {
    input_type: c_int,
    output_type: c_int,
    scale: f64,
    reserved: *mut c_void,
    flags: c_ulong,
}

/// `soxr_quality_spec_t`.
#[repr(C)]
struct QualitySpec {
    precision: f64,
    phase_response: f64,
    passband_end: f64,
    stopband_begin: f64,
    reserved: *mut c_void,
    flags: c_ulong,
}

/// `SOXR_INT16_I`, and `SOXR_NO_DITHER`.
const INT16: c_int = 3;
const NO_DITHER: c_ulong = 8;

#[link(name = "soxr")]
unsafe extern "C" {
    fn soxr_quality_spec(recipe: c_ulong, flags: c_ulong) -> QualitySpec;
    fn soxr_create(
        from: f64,
        to: f64,
        channels: c_uint,
        error: *mut *const c_char,
        io: *const IoSpec,
        quality: *const QualitySpec,
        runtime: *const c_void,
    ) -> *mut c_void;
    fn soxr_process(
        state: *mut c_void,
        input: *const c_void,
        input_samples: usize,
        taken: *mut usize,
        output: *mut c_void,
        output_samples: usize,
        made: *mut usize,
    ) -> *const c_char;
    fn soxr_delete(state: *mut c_void);
}

/// soxr's resampler.
pub(crate) struct Soxr(NonNull<c_void>);

impl Soxr {
    /// `recipe` as in `soxr.h`: 4 is HQ, 6 is VHQ.
    pub(crate) fn new(from: SampleRate, to: SampleRate, recipe: c_ulong) -> Self {
        let io = IoSpec {
            input_type: INT16,
            output_type: INT16,
            scale: 1.0,
            reserved: null_mut(),
            flags: NO_DITHER,
        };
        // SAFETY: values; both specifications live until the call is over, and null stands for the
        // default.
        let state = unsafe {
            let quality = soxr_quality_spec(recipe, 0);
            soxr_create(
                f64::from(from.hz()),
                f64::from(to.hz()),
                1,
                null_mut(),
                &raw const io,
                &raw const quality,
                null(),
            )
        };
        Self(NonNull::new(state).expect("soxr makes a resampler"))
    }
}

impl Resample for Soxr {
    fn process(&mut self, input: &[i16], output: &mut Vec<i16>) -> usize {
        let (mut taken, mut made) = (0, 0);
        // SAFETY: the state is alive, and both buffers are as long as is said.
        let error = unsafe {
            soxr_process(
                self.0.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                &raw mut taken,
                output.as_mut_ptr().cast(),
                output.len(),
                &raw mut made,
            )
        };
        assert!(error.is_null() && taken == input.len());
        made
    }
}

impl Drop for Soxr {
    fn drop(&mut self) {
        // SAFETY: the state is alive, and nobody else has it.
        unsafe { soxr_delete(self.0.as_ptr()) }
    }
}
