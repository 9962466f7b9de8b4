//! Selection of the vector width: the widest of the CPU, or a narrower one if `HARDGRAD_SIMD`
//! requests it.

use std::ffi::OsStr;
use std::sync::OnceLock;

/// The environment variable that limits the width.
const VARIABLE: &str = "HARDGRAD_SIMD";

/// Vector widths, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Width {
    /// The vectors of the build's target.
    Plain,
    /// 256 bits, with fused multiply-adds.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512 bits.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The width that every kernel uses: the widest of this CPU, limited by `HARDGRAD_SIMD`. The
/// variable is read at the first call.
///
/// # Panics
/// If the variable is set to anything except `plain`, `avx2`, `avx512` or an empty string.
#[inline]
pub(crate) fn width() -> Width {
    static WIDTH: OnceLock<Width> = OnceLock::new();
    *WIDTH.get_or_init(choose)
}

#[cold]
fn choose() -> Width {
    match std::env::var_os(VARIABLE) {
        None => widest(),
        Some(value) => lowered(widest(), &value).unwrap_or_else(|message| panic!("{message}")),
    }
}

/// The widest vectors of this CPU.
fn widest() -> Width {
    #[cfg(target_arch = "x86_64")]
    {
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq");
        if wide {
            return Width::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Width::Avx2;
        }
    }
    Width::Plain
}

/// Returns `widest`, or the width named by `value` if that is narrower.
fn lowered(widest: Width, value: &OsStr) -> Result<Width, String> {
    let requested = match value.to_str() {
        Some("") => widest,
        Some("plain") => Width::Plain,
        #[cfg(target_arch = "x86_64")]
        Some("avx2") => Width::Avx2,
        #[cfg(target_arch = "x86_64")]
        Some("avx512") => Width::Avx512,
        #[cfg(not(target_arch = "x86_64"))]
        Some("avx2" | "avx512") => widest, // wider than this CPU's vectors: no effect
        _ => return Err(format!("{VARIABLE}: got {value:?}, expected `plain`, `avx2` or `avx512`")),
    };
    Ok(requested.min(widest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lowers_and_never_raises() {
        let all = [
            Width::Plain,
            #[cfg(target_arch = "x86_64")]
            Width::Avx2,
            #[cfg(target_arch = "x86_64")]
            Width::Avx512,
        ];
        for (i, &widest) in all.iter().enumerate() {
            assert_eq!(lowered(widest, "".as_ref()), Ok(widest));
            for (j, name) in ["plain", "avx2", "avx512"].into_iter().enumerate() {
                assert_eq!(lowered(widest, name.as_ref()), Ok(all[i.min(j)]), "{name} on {widest:?}");
            }
            for wrong in ["AVX2", "avx", "sse2", " plain", "0"] {
                let message = lowered(widest, wrong.as_ref()).unwrap_err();
                let expected = format!("HARDGRAD_SIMD: got {wrong:?}, expected `plain`, `avx2` or `avx512`");
                assert_eq!(message, expected);
            }
        }
        assert!(width() <= super::widest());
    }
}
