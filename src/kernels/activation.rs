//! Activation functions, elementwise.

use super::elementwise::{axpy, map_vjp};
use crate::error::{Error, Result};
use crate::par;
use crate::scalar::Scalar;
use crate::simd::vectorized;
use serde::{Deserialize, Serialize};

/// The function that a layer applies to each of its outputs.
///
/// Every activation maps NaN to NaN, so that a NaN in one layer remains visible after the last.
///
/// ```
/// use hardgrad::{Mat, ParamStore, Workspace, nn::Activation};
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// let mut tape = workspace.tape(&params);
/// let x = tape.constant(Mat::from_rows(&[[-2.0, 0.0, 3.0]]).view());
/// let y = tape.activate(x, Activation::leaky_relu(0.25)?);
/// assert_eq!(tape.value(y).data, [-0.5, 0.0, 3.0]);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// y = x
    #[default]
    Identity,
    /// y = max(x, 0). Its derivative at 0 is defined as 0, as in PyTorch.
    Relu,
    /// y = x where x > 0, else slope · x, with a slope in [0, 1] (Maas et al. 2013, "Rectifier
    /// nonlinearities improve neural network acoustic models"). Its derivative at 0 is defined as
    /// the slope, as in PyTorch.
    LeakyRelu(f64),
}

impl Activation {
    /// LeakyReLU with PyTorch's default slope, 0.01.
    pub const LEAKY_RELU: Self = Self::LeakyRelu(0.01);

    /// LeakyReLU with this slope.
    ///
    /// ```
    /// use hardgrad::nn::Activation;
    /// assert_eq!(Activation::leaky_relu(0.2)?, Activation::LeakyRelu(0.2));
    /// let e = Activation::leaky_relu(-0.2).unwrap_err();
    /// assert_eq!(e.to_string(), "slope: got -0.2, expected a number in [0, 1]");
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`validated`](Self::validated).
    pub fn leaky_relu(slope: f64) -> Result<Self> {
        Self::LeakyRelu(slope).validated()
    }

    /// Returns `self` if the slope is in its range.
    ///
    /// # Errors
    /// If the slope is not a number in [0, 1]. With a negative slope, two inputs would have one
    /// output, and the sign of the output would no longer determine the derivative. A slope above 1
    /// would not be a leak.
    pub fn validated(self) -> Result<Self> {
        match self {
            Self::LeakyRelu(slope) if !(0.0..=1.0).contains(&slope) => {
                Err(Error::argument("slope", slope, "a number in [0, 1]"))
            }
            _ => Ok(self),
        }
    }

    /// Panics with the name of the operation if the slope is outside its range.
    #[track_caller]
    pub(crate) fn assert_valid(self, name: &str) {
        if let Err(error) = self.validated() {
            panic!("{name}: {self:?}: {error}");
        }
    }
}

/// Writes `identity`, `relu`, or `leaky-relu:SLOPE`.
impl std::fmt::Display for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Relu => f.write_str("relu"),
            Self::LeakyRelu(slope) => write!(f, "leaky-relu:{slope}"),
        }
    }
}

/// Reads what `Display` writes, and `leaky-relu` for [`Activation::LEAKY_RELU`].
///
/// ```
/// use hardgrad::nn::Activation;
/// let activation: Activation = "leaky-relu:0.2".parse()?;
/// assert_eq!(activation, Activation::LeakyRelu(0.2));
/// assert_eq!(activation.to_string(), "leaky-relu:0.2");
/// let e = "leaky-relu:2".parse::<Activation>().unwrap_err();
/// assert_eq!(e.to_string(), "slope: got 2, expected a number in [0, 1]");
/// # Ok::<(), hardgrad::Error>(())
/// ```
impl std::str::FromStr for Activation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let slope = text.strip_prefix("leaky-relu:").map(str::parse);
        match (text, slope) {
            ("identity", _) => Ok(Self::Identity),
            ("relu", _) => Ok(Self::Relu),
            ("leaky-relu", _) => Ok(Self::LEAKY_RELU),
            (_, Some(Ok(slope))) => Self::leaky_relu(slope),
            _ => Err(Error::argument("activation", text, "one of identity, relu, leaky-relu:SLOPE")),
        }
    }
}

/// max(x, 0); NaN for a NaN.
#[inline(always)]
fn relu_of<T: Scalar>(x: T) -> T {
    if x <= T::ZERO { T::ZERO } else { x }
}

/// The cotangent of x from the cotangent of y = max(x, 0). y > 0 exactly where x > 0. Where y is
/// NaN it is g, as in PyTorch.
#[inline(always)]
fn relu_vjp_of<T: Scalar>(y: T, g: T) -> T {
    if y <= T::ZERO { T::ZERO } else { g }
}

/// x where x > 0, else slope · x; NaN for a NaN.
#[inline(always)]
fn leaky_relu_of<T: Scalar>(slope: T, x: T) -> T {
    if x <= T::ZERO { slope * x } else { x }
}

/// The cotangent of x from the cotangent of y = [`leaky_relu_of`] x. y > 0 exactly where x > 0.
/// Where y is NaN it is g, as in PyTorch.
#[inline(always)]
fn leaky_relu_vjp_of<T: Scalar>(slope: T, y: T, g: T) -> T {
    if y <= T::ZERO { slope * g } else { g }
}

#[inline(always)]
fn map<T: Scalar>(x: &[T], y: &mut [T], f: impl Fn(T) -> T) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}

vectorized! {
    /// y = activation(x)
    pub fn activate<T: Scalar>(activation: Activation, x: &[T], y: &mut [T]) {
        match activation {
            Activation::Identity => y.copy_from_slice(x),
            Activation::Relu => map(x, y, relu_of),
            Activation::LeakyRelu(slope) => {
                let slope = T::of(slope);
                map(x, y, |x| leaky_relu_of(slope, x));
            }
        }
    }
}

/// dx += g ⊙ activation′(x), with the derivative computed from the output y.
pub fn activate_vjp<T: Scalar>(activation: Activation, y: &[T], g: &[T], dx: &mut [T]) {
    match activation {
        Activation::Identity => axpy(T::ONE, g, dx),
        Activation::Relu => map_vjp(y, g, dx, relu_vjp_of),
        Activation::LeakyRelu(slope) => {
            let slope = T::of(slope);
            map_vjp(y, g, dx, |y, g| leaky_relu_vjp_of(slope, y, g));
        }
    }
}

/// y `[N, M]` ← activation(y + bias), with the bias `[M]` added to every row.
pub fn add_bias<T: Scalar>(bias: &[T], activation: Activation, y: &mut [T]) {
    par::for_each_block(y, ROWS * bias.len(), |_, y| add_bias_block(bias, activation, y));
}

/// Rows per block of parallel work.
const ROWS: usize = 25;

vectorized! {
    fn add_bias_block<T: Scalar>(bias: &[T], activation: Activation, y: &mut [T]) {
        for row in y.chunks_exact_mut(bias.len().max(1)) {
            match activation {
                Activation::Identity => add_bias_row(bias, row, |x| x),
                Activation::Relu => add_bias_row(bias, row, relu_of),
                Activation::LeakyRelu(slope) => {
                    let slope = T::of(slope);
                    add_bias_row(bias, row, |x| leaky_relu_of(slope, x));
                }
            }
        }
    }
}

#[inline(always)]
fn add_bias_row<T: Scalar>(bias: &[T], y: &mut [T], f: impl Fn(T) -> T) {
    for (y, &b) in y.iter_mut().zip(bias) {
        *y = f(*y + b);
    }
}

/// dx = g ⊙ activation′(x), with the derivative computed from the output y. This is the cotangent
/// of the pre-activation, for the vjp of [`add_bias`] and of the preceding product.
pub fn cotangent<T: Scalar>(activation: Activation, y: &[T], g: &[T], dx: &mut [T]) {
    par::for_each_block((y, (g, dx)), BLOCK, |_, (y, (g, dx))| cotangent_block(activation, y, g, dx));
}

/// Elements per block of parallel work: a few microseconds.
const BLOCK: usize = 1 << 13;

vectorized! {
    fn cotangent_block<T: Scalar>(activation: Activation, y: &[T], g: &[T], dx: &mut [T]) {
        match activation {
            Activation::Identity => dx.copy_from_slice(g),
            Activation::Relu => put_cotangent(y, g, dx, relu_vjp_of),
            Activation::LeakyRelu(slope) => {
                let slope = T::of(slope);
                put_cotangent(y, g, dx, |y, g| leaky_relu_vjp_of(slope, y, g));
            }
        }
    }
}

#[inline(always)]
fn put_cotangent<T: Scalar>(y: &[T], g: &[T], dx: &mut [T], f: impl Fn(T, T) -> T) {
    for ((dx, &y), &g) in dx.iter_mut().zip(y).zip(g) {
        *dx = f(y, g);
    }
}

#[cfg(test)]
mod examples {
    use super::*;

    #[test]
    fn activate_by_hand() {
        let mut y = [9.0; 2];
        activate(Activation::Relu, &[-1.0, 2.0], &mut y);
        assert_eq!(y, [0.0, 2.0]);
        activate(Activation::LeakyRelu(0.25), &[-1.0, 2.0], &mut y);
        assert_eq!(y, [-0.25, 2.0]);
    }

    #[test]
    fn activate_vjp_by_hand() {
        let mut dx = [0.5; 2];
        activate_vjp(Activation::Relu, &[0.0, 2.0], &[1.0, 3.0], &mut dx);
        assert_eq!(dx, [0.5, 3.5]);
        activate_vjp(Activation::LeakyRelu(0.25), &[0.0, 2.0], &[1.0, 3.0], &mut dx);
        assert_eq!(dx, [0.75, 6.5]);
    }

    #[test]
    fn add_bias_by_hand() {
        let mut y = [1.0, 2.0, 3.0, -40.0];
        add_bias(&[10.0, 20.0], Activation::Relu, &mut y);
        assert_eq!(y, [11.0, 22.0, 13.0, 0.0]);
    }

    #[test]
    fn cotangent_by_hand() {
        let mut dx = [9.0; 2];
        cotangent(Activation::LeakyRelu(0.25), &[0.0, 2.0], &[1.0, 3.0], &mut dx);
        assert_eq!(dx, [0.25, 3.0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NaN stays NaN, and zeros, infinities and the smallest numbers are classified by their own
    /// sign, with and without a bias, in rows that fill SIMD vectors and in rows that do not.
    fn check<T: Scalar>() {
        let nan = T::of(f64::NAN);
        let infinity = -T::NEG_INFINITY;
        let tiny = T::MIN_POSITIVE;
        for len in [1, 5, 16, 40] {
            for (x, relu, leaky) in [
                (nan, nan, nan),
                (infinity, infinity, infinity),
                (-infinity, T::ZERO, -infinity),
                (tiny, tiny, tiny),
                (-T::ONE, T::ZERO, T::of(-0.25)),
                (T::ZERO, T::ZERO, T::ZERO),
            ] {
                let of = [
                    (Activation::Identity, x),
                    (Activation::Relu, relu),
                    (Activation::LeakyRelu(0.25), leaky),
                ];
                for (activation, want) in of {
                    let same = |y: &T| *y == want || (want.to_f64().is_nan() && y.to_f64().is_nan());
                    let (x, mut y) = (vec![x; len], vec![T::ONE; len]);
                    activate(activation, &x, &mut y);
                    assert!(y.iter().all(same), "{activation:?} of {x:?}: {y:?}");
                    let mut y = vec![T::ZERO; 2 * len];
                    add_bias(&x, activation, &mut y);
                    assert!(y.iter().all(same), "{activation:?} of 0 + {x:?}: {y:?}");
                }
            }
        }
    }

    #[test]
    fn every_activation_propagates_nan() {
        check::<f32>();
        check::<f64>();
    }

    /// The zero of a ReLU is +0 for every argument, and blocks an infinite cotangent.
    #[test]
    fn the_relu_blocks_gradients_below_zero() {
        let mut y = [1.0_f32; 3];
        activate(Activation::Relu, &[-0.0, -1.0, f32::NEG_INFINITY], &mut y);
        assert!(y.iter().all(|y| y.to_bits() == 0));
        let (g, mut dx) = ([f32::INFINITY, f32::NAN, -1.0], [1.0; 3]);
        activate_vjp(Activation::Relu, &y, &g, &mut dx);
        assert_eq!(dx, [1.0; 3]);
        cotangent(Activation::Relu, &y, &g, &mut dx);
        assert_eq!(dx, [0.0; 3]);
    }
}
