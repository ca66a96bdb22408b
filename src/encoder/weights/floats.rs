//! Stored numbers to `f32`.

/// What a storage holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// IEEE half precision.
    F16,
    /// The upper half of an `f32`.
    Bf16,
    /// What looksee computes in.
    F32,
    /// Rounded to the nearest `f32`.
    F64,
    /// Whole numbers or truth values of so many bytes; never a weight.
    Whole(u8),
}

impl Element {
    /// Bytes of one element.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Whole(bytes) => bytes as usize,
        }
    }

    /// Whether values of this kind can be weights.
    pub(super) fn is_float(self) -> bool {
        !matches!(self, Self::Whole(_))
    }
}

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    /// The lowest, as on x86 and ARM.
    Little,
    /// The highest.
    Big,
}

/// All elements of `bytes`; trailing bytes that make no element are left out.
pub(super) fn decode(element: Element, order: ByteOrder, bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(element.bytes()).map(|bytes| value(element, order, bytes)).collect()
}

/// One element; `bytes` has exactly [`Element::bytes`].
pub(super) fn value(element: Element, order: ByteOrder, bytes: &[u8]) -> f32 {
    let mut low_first = [0; 8];
    low_first[..bytes.len()].copy_from_slice(bytes);
    if order == ByteOrder::Big {
        low_first[..bytes.len()].reverse();
    }
    let bits = u64::from_le_bytes(low_first);
    match element {
        Element::F16 => from_half(bits as u16),
        Element::Bf16 => f32::from_bits((bits as u32) << 16),
        Element::F32 => f32::from_bits(bits as u32),
        Element::F64 => f64::from_bits(bits) as f32,
        Element::Whole(_) => bits as f32,
    }
}

/// Every half-precision value is an `f32` value; NaN keeps its payload.
fn from_half(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10) & 0x1f;
    let fraction = u32::from(half & 0x3ff);
    match exponent {
        0 => f32::from_bits(sign | (fraction as f32 * 2f32.powi(-24)).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_sign_times_power_times_fraction() {
        for half in 0..=u16::MAX {
            let exponent = i32::from(half >> 10 & 0x1f);
            let fraction = f64::from(half & 0x3ff);
            let size = match exponent {
                0 => fraction / 1024.0 * 2f64.powi(-14),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            let value = from_half(half);
            assert_eq!(value.is_sign_negative(), half >> 15 == 1, "{half:#x}");
            assert_eq!(value.is_nan(), size.is_nan(), "{half:#x}");
            if !value.is_nan() {
                assert_eq!(f64::from(value.abs()).to_bits(), size.to_bits(), "{half:#x}");
            }
        }
    }

    #[test]
    fn each_kind_reads_minus_one_and_a_half_in_either_byte_order() {
        let cases: [(Element, &[u8]); 4] = [
            (Element::F16, &[0xbe, 0x00]),
            (Element::Bf16, &[0xbf, 0xc0]),
            (Element::F32, &[0xbf, 0xc0, 0, 0]),
            (Element::F64, &[0xbf, 0xf8, 0, 0, 0, 0, 0, 0]),
        ];
        for (element, high_first) in cases {
            let low_first: Vec<u8> = high_first.iter().rev().copied().collect();
            assert_eq!(decode(element, ByteOrder::Big, high_first), [-1.5], "{element:?}");
            assert_eq!(decode(element, ByteOrder::Little, &low_first), [-1.5], "{element:?}");
        }
    }
}
