//! Products of vectors with a matrix: nearly all of the forward pass's work.

use super::lanes::Lanes;
use super::model::Matrix;

/// Adds to each of `VECTORS` outputs the product of its input with the matrix.
#[inline(always)]
pub(super) fn add_products<L: Lanes, const VECTORS: usize, const COLUMNS: usize>(
    matrix: Matrix<COLUMNS>,
    inputs: [&[f32]; VECTORS],
    outputs: &mut [[f32; COLUMNS]],
) {
    // So many registers of sums at a time that those of one row do not wait for those of the row
    // before, and that all have room: of AVX-512 there are twice as many.
    match (VECTORS, L::COUNT) {
        (1, _) => add_by::<L, 8, VECTORS, COLUMNS>(matrix, inputs, outputs),
        (2, _) | (_, 16) => add_by::<L, 4, VECTORS, COLUMNS>(matrix, inputs, outputs),
        _ => add_by::<L, 2, VECTORS, COLUMNS>(matrix, inputs, outputs),
    }
}

/// The same, `WIDTH` registers at a time.
#[inline(always)]
fn add_by<L: Lanes, const WIDTH: usize, const VECTORS: usize, const COLUMNS: usize>(
    matrix: Matrix<COLUMNS>,
    inputs: [&[f32]; VECTORS],
    outputs: &mut [[f32; COLUMNS]],
) {
    const { assert!(COLUMNS.is_multiple_of(16), "whole registers of outputs") };
    assert_eq!(outputs.len(), VECTORS, "an output for each input");
    let mut column = 0;
    while column + WIDTH * L::COUNT <= COLUMNS {
        block::<L, WIDTH, VECTORS, COLUMNS>(matrix, column, inputs, outputs);
        column += WIDTH * L::COUNT;
    }
    while column + 4 * L::COUNT <= COLUMNS {
        block::<L, 4, VECTORS, COLUMNS>(matrix, column, inputs, outputs);
        column += 4 * L::COUNT;
    }
    while column < COLUMNS {
        block::<L, 1, VECTORS, COLUMNS>(matrix, column, inputs, outputs);
        column += L::COUNT;
    }
}

/// The outputs of `WIDTH` registers of columns.
#[inline(always)]
fn block<L: Lanes, const WIDTH: usize, const VECTORS: usize, const COLUMNS: usize>(
    matrix: Matrix<COLUMNS>,
    column: usize,
    inputs: [&[f32]; VECTORS],
    outputs: &mut [[f32; COLUMNS]],
) {
    // Loops, for a closure is compiled without the instructions that its function may use.
    let mut sums = [[L::splat(0.0); WIDTH]; VECTORS];
    for (sums, output) in sums.iter_mut().zip(&*outputs) {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum = L::load(&output[column + n * L::COUNT..]);
        }
    }
    for (row, from) in matrix.0.iter().enumerate() {
        let mut weights = [L::splat(0.0); WIDTH];
        for (n, weight) in weights.iter_mut().enumerate() {
            *weight = L::load(&from[column + n * L::COUNT..]);
        }
        for (sums, input) in sums.iter_mut().zip(inputs) {
            let input = L::splat(input[row]);
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = sum.plus_product(weight, input);
            }
        }
    }
    for (sums, output) in sums.iter().zip(outputs) {
        for (n, sum) in sums.iter().enumerate() {
            sum.store(&mut output[column + n * L::COUNT..]);
        }
    }
}
