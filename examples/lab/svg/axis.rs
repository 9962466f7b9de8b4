//! Axes of charts: positions of values, and ticks.

/// Scale of an axis.
#[derive(Clone, Copy, Debug)]
pub enum Scale {
    /// Linear scale from `low`, or from the smallest value if that is smaller, rounded down to a
    /// tick.
    Linear {
        /// The smallest number that must be on the axis.
        low: f64,
    },
    /// Linear scale from 0, with ticks at whole numbers only.
    Whole,
    /// Logarithmic scale from `floor`. Smaller values are drawn at `floor`.
    Log {
        /// Start of the axis, > 0.
        floor: f64,
    },
}

/// An axis from `low` to `high`, which are exponents of ten if it is logarithmic, with a tick each `step`.
pub struct Axis {
    log: bool,
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    pub fn new(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let range = |from: f64| values.fold((from, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        match scale {
            Scale::Linear { .. } | Scale::Whole => {
                let (from, least) = if let Scale::Linear { low } = scale { (low, 0.0) } else { (0.0, 1.0) };
                let (low, high) = range(from);
                let low = if low.is_finite() { low } else { 0.0 };
                let high = if high > low { high } else { low + 1.0 };
                let step = f64::max(round_step((high - low) / 6.0), least);
                let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
                Self { log: false, low, high, step }
            }
            Scale::Log { floor } => {
                let (low, top) = (floor.log10(), range(floor).1.max(floor).log10());
                // Free space above the highest point, up to half a decade.
                let high = top.mul_add(2.0, 0.1).ceil().max(low * 2.0 + 1.0) / 2.0;
                Self { log: true, low, high, step: 1.0 }
            }
        }
    }

    /// A linear axis from `low` to `high`, with a tick each `step` from `low` on.
    pub fn exactly([low, high]: [f64; 2], step: f64) -> Self {
        Self { log: false, low, high, step }
    }

    /// Position of a value, from 0 to 1.
    pub fn part(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        ((value.max(self.low) - self.low) / (self.high - self.low)).min(1.0)
    }

    /// Positions and labels of the ticks.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        if self.log {
            let power = |d: i32| {
                let sign = if d < 0 { "−" } else { "" };
                format!("10<tspan dy=\"-5\" font-size=\"10\">{sign}{}</tspan>", d.abs())
            };
            let decades = self.low.ceil() as i32..=self.high.floor() as i32;
            return decades.map(|d| (self.part(10f64.powi(d)), power(d))).collect();
        }
        let count = ((self.high - self.low) / self.step).round() as u32;
        let decimals = (-self.step.log10().floor()).max(0.0) as usize;
        let tick = |k| self.low + f64::from(k) * self.step;
        (0..=count).map(|k| (self.part(tick(k)), format!("{:.decimals$}", tick(k)))).collect()
    }
}

/// The largest of 1, 2 and 5 times a power of ten that is at most `x`.
fn round_step(x: f64) -> f64 {
    let power = 10f64.powf(x.log10().floor());
    [5.0, 2.0].into_iter().map(|k| k * power).find(|&step| step <= x).unwrap_or(power)
}
