use std::sync::OnceLock;

use super::{BINS, HALF, PADDED_BINS, WIDTH};

/// `fixtures/vad/README.md` says what is in it, and where it comes from.
static FILE: &[u8] = include_bytes!("../../../../fixtures/vad/silero-8k.f32");

/// Bytes of a cache line: a register that lies in two of them takes twice as long to load.
const LINE_BYTES: usize = 64;

/// A matrix of inputs by outputs: for each input a row of its weights, one for each output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<const COLUMNS: usize>(pub(super) &'static [[f32; COLUMNS]]);

/// A matrix, and what is added to its outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<const COLUMNS: usize> {
    pub(super) matrix: Matrix<COLUMNS>,
    pub(super) bias: [f32; COLUMNS],
}

impl<const COLUMNS: usize> Layer<COLUMNS> {
    /// The matrices of a convolution's three taps: of the position before, of this, of the next.
    #[inline(always)]
    pub(super) fn taps(&self) -> [Matrix<COLUMNS>; 3] {
        let rows = self.matrix.0.len() / 3;
        std::array::from_fn(|tap| Matrix(&self.matrix.0[tap * rows..][..rows]))
    }
}

/// The weights of Silero's VAD at 8 kHz, which all calls share.
#[derive(Debug)]
pub(super) struct Model {
    /// Cosines of the Fourier transform, of the even part of a window.
    pub(super) even: Matrix<PADDED_BINS>,
    /// Its sines, of the odd part.
    pub(super) odd: Matrix<PADDED_BINS>,
    pub(super) first: Layer<WIDTH>,
    pub(super) second: Layer<HALF>,
    pub(super) third: Layer<HALF>,
    pub(super) fourth: Layer<WIDTH>,
    /// Input, forget, cell and output of the LSTM.
    pub(super) gates: [Layer<WIDTH>; 4],
    pub(super) output: [f32; WIDTH],
    pub(super) output_bias: f32,
}

impl Model {
    /// The one model, decoded when it is first asked for.
    pub(super) fn shared() -> &'static Self {
        static MODEL: OnceLock<Model> = OnceLock::new();
        MODEL.get_or_init(|| Self::read(aligned(FILE)))
    }

    fn read(values: &'static [f32]) -> Self {
        let mut rest = Rest(values);
        let model = Self {
            even: rest.matrix(HALF),
            odd: rest.matrix(HALF - 1),
            first: rest.layer(3 * BINS),
            second: rest.layer(3 * WIDTH),
            third: rest.layer(2 * HALF),
            fourth: rest.layer(HALF),
            gates: std::array::from_fn(|_| rest.layer(2 * WIDTH)),
            output: rest.row(),
            output_bias: rest.row::<1>()[0],
        };
        assert!(rest.0.is_empty(), "the file holds the model and nothing else");
        model
    }
}

/// The file's floats, the first one at the begin of a cache line.
fn aligned(bytes: &[u8]) -> &'static [f32] {
    let count = bytes.len() / 4;
    let mut values = vec![0.0_f32; count + LINE_BYTES / 4].leak();
    let skipped = values.as_ptr().align_offset(LINE_BYTES).min(LINE_BYTES / 4);
    values = &mut values[skipped..][..count];
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
        *value = f32::from_le_bytes(*bytes);
    }
    values
}

/// What has not been read yet.
struct Rest(&'static [f32]);

impl Rest {
    fn matrix<const COLUMNS: usize>(&mut self, rows: usize) -> Matrix<COLUMNS> {
        let (head, rest) = self.0.split_at(rows * COLUMNS);
        self.0 = rest;
        Matrix(head.as_chunks().0)
    }

    fn row<const COLUMNS: usize>(&mut self) -> [f32; COLUMNS] {
        self.matrix(1).0[0]
    }

    fn layer<const COLUMNS: usize>(&mut self, rows: usize) -> Layer<COLUMNS> {
        Layer { matrix: self.matrix(rows), bias: self.row() }
    }
}
