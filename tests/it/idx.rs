//! The IDX reader on damaged files and on files whose header is wrong on purpose.

use hardgrad::data::{Idx, IdxData};
use std::io::{self, Read};
use std::path::Path;

const NAME: &str = "some/file.idx";

fn parse(bytes: &[u8]) -> hardgrad::Result<Idx> {
    Idx::parse(bytes, Path::new(NAME))
}

/// Checks that the message contains the name of the file and every part.
#[track_caller]
fn refused(result: hardgrad::Result<Idx>, parts: &[&str]) {
    let e = result.expect_err("an error").to_string();
    assert!(e.contains(NAME), "{e}");
    for part in parts {
        assert!(e.contains(part), "{e:?} does not contain {part:?}");
    }
}

fn header(kind: u8, dims: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, dims.len() as u8];
    dims.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
    bytes
}

fn small() -> Vec<u8> {
    [header(8, &[2, 3]), vec![1, 2, 3, 4, 5, 6]].concat()
}

fn written(idx: &Idx) -> Vec<u8> {
    let mut bytes = Vec::new();
    idx.write(&mut bytes).expect("a Vec takes every byte");
    bytes
}

#[test]
fn every_type_round_trips() {
    for data in [
        IdxData::U8(vec![0, 1, 127, 128, 254, 255]),
        IdxData::I8(vec![0, 1, 127, -128, -2, -1]),
        IdxData::I16(vec![0, 1, i16::MAX, i16::MIN, -2, 258]),
        IdxData::I32(vec![0, 1, i32::MAX, i32::MIN, -2, 0x0102_0304]),
        IdxData::F32(vec![0.0, -0.0, 1.5, f32::MIN_POSITIVE, f32::INFINITY, -2e-40]),
        IdxData::F64(vec![0.0, -0.0, 1.5, f64::MIN_POSITIVE, f64::NEG_INFINITY, 1e300]),
    ] {
        for dims in [vec![6], vec![2, 3], vec![1, 6, 1]] {
            let idx = Idx::new(dims, data.clone()).unwrap();
            assert_eq!(parse(&written(&idx)).unwrap(), idx);
        }
    }
}

#[test]
fn numbers_are_big_endian() {
    let floats = [header(0x0d, &[2]), vec![0x3f, 0x80, 0, 0, 0xc0, 0x49, 0x0f, 0xdb]].concat();
    assert_eq!(*parse(&floats).unwrap().data(), IdxData::F32(vec![1.0, -std::f32::consts::PI]));
    let double = [header(0x0e, &[1]), vec![0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18]].concat();
    assert_eq!(*parse(&double).unwrap().data(), IdxData::F64(vec![std::f64::consts::PI]));
    let short = [header(0x0b, &[1]), vec![0xff, 0x00]].concat();
    assert_eq!(*parse(&short).unwrap().data(), IdxData::I16(vec![-256]));
    let nan = [header(0x0d, &[1]), vec![0x7f, 0xc0, 0x12, 0x34]].concat();
    let IdxData::F32(nan) = parse(&nan).unwrap().into_parts().1 else { panic!() };
    assert_eq!(nan[0].to_bits(), 0x7fc0_1234);
}

#[test]
fn ranks_0_and_255_and_empty_dimensions() {
    let scalar = parse(&[0, 0, 8, 0, 7]).unwrap();
    assert_eq!((scalar.dims(), scalar.data()), (&[][..], &IdxData::U8(vec![7])));
    refused(parse(&[0, 0, 8, 0]), &["at byte 4", "length of 4", "expected 5", "scalar of u8"]);

    let deep = Idx::new(vec![1; 255], IdxData::I32(vec![9])).unwrap();
    assert_eq!(parse(&written(&deep)).unwrap(), deep);
    let huge = header(8, &[2; 255]);
    refused(parse(&huge), &["at byte 4", "2×2×2×2×2×2×2×2×… (rank 255) of u8", "expected at most"]);

    // A dimension 0 gives an empty array, even if the product of the others overflows.
    let big = u32::MAX;
    for dims in [[0, big, big, big], [big, big, big, 0]] {
        let empty = parse(&header(0x0e, &dims)).unwrap();
        assert!(empty.data().is_empty());
        assert_eq!(empty.dims().len(), 4);
    }
}

#[test]
fn a_wrong_header_is_an_error_that_names_the_expected_value() {
    refused(parse(b""), &["at byte 0", "the content ends", "4 more bytes of the magic number"]);
    refused(parse(&[0, 0, 8]), &["at byte 3", "1 more bytes"]);
    refused(parse(b"<!DOCTYPE html>"), &["at byte 0", "found 3c 21", "expected the 00 00"]);
    refused(parse(&[0, 0, 0x0a, 1]), &["at byte 2", "found element type 0a", "08 (u8)", "0e (f64)"]);
    refused(parse(&small()[..9]), &["at byte 9", "3 more bytes of 2 dimensions of 4 bytes"]);
    refused(parse(&[0, 0, 8, 255, 1]), &["at byte 5", "1019 more bytes of 255 dimensions"]);
    let overflow = header(0x0e, &[u32::MAX, u32::MAX, 2]);
    refused(parse(&overflow), &["at byte 4", "4294967295×4294967295×2 of f64"]);
}

#[test]
fn a_wrong_length_is_an_error_before_memory_is_allocated() {
    refused(
        parse(&small()[..17]),
        &["at byte 17", "length of 17", "expected 18", "2×3 of u8, 6 bytes of data"],
    );
    let long = [small(), vec![0; 3]].concat();
    refused(parse(&long), &["at byte 18", "length of 21", "expected 18"]);
    let giant = header(8, &[1 << 21, 1 << 21]);
    refused(parse(&giant), &["at byte 12", "expected 4398046511116", "4398046511104 bytes of data"]);
}

/// A reader that records how many bytes it was asked for.
struct Counting<R>(R, u64);

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 += buffer.len() as u64;
        self.0.read(buffer)
    }
}

/// A file that shrinks or grows after its length was read, or whose length is not known.
#[test]
fn a_file_whose_length_changes_is_an_error() {
    let path = Path::new(NAME);
    let bytes = small();
    assert_eq!(Idx::read_from(&bytes[..], path, None).unwrap(), parse(&bytes).unwrap());
    refused(Idx::read_from(&bytes[..15], path, Some(18)), &["at byte 15", "the data end", "2×3 of u8"]);
    refused(Idx::read_from(&bytes[..15], path, None), &["at byte 15", "the data end"]);
    let long = [small(), vec![0; 3]].concat();
    refused(Idx::read_from(&long[..], path, Some(18)), &["at byte 18", "more data follow, expected the end"]);
    refused(Idx::read_from(&long[..], path, None), &["at byte 18", "more data follow"]);
    // The header announces 4 TB, the content is empty, and the length is not known: the reader asks
    // for one piece, not for 4 TB.
    let giant = header(8, &[1 << 21, 1 << 21]);
    let mut reader = Counting(&giant[..], 0);
    refused(Idx::read_from(&mut reader, path, None), &["at byte 12", "the data end"]);
    assert!(reader.1 < 2 << 20, "{}", reader.1);
}

#[test]
fn a_reader_in_small_steps_and_a_failing_one() {
    struct Dripping<'a>(&'a [u8], bool);
    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = buffer.len().min(1);
            self.0.read(&mut buffer[..n])
        }
    }
    let bytes = small();
    let idx = Idx::read_from(Dripping(&bytes, false), Path::new(NAME), Some(18)).unwrap();
    assert_eq!(idx, parse(&bytes).unwrap());

    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    let broken = bytes[..14].chain(Failing);
    refused(Idx::read_from(broken, Path::new(NAME), Some(18)), &["cannot read", "disk on fire"]);
}

#[test]
fn directories_and_missing_files() {
    let dir = tempfile::tempdir().unwrap();
    let e = Idx::read(dir.path()).unwrap_err().to_string();
    assert!(e.contains("cannot read") && e.contains("directory; expected an IDX file"), "{e}");
    let missing = dir.path().join("none.idx");
    let e = Idx::read(&missing).unwrap_err().to_string();
    assert!(e.starts_with("cannot open") && e.contains("none.idx"), "{e}");
    let path = dir.path().join("six.idx");
    std::fs::write(&path, small()).unwrap();
    assert_eq!(Idx::read(&path).unwrap().dims(), [2, 3]);
}

#[test]
fn dimensions_and_elements_must_agree() {
    let e = Idx::new(vec![2, 2], IdxData::U8(vec![0; 5])).unwrap_err().to_string();
    assert_eq!(e, "dims: got 2×2, expected a product of 5 elements");
    assert!(Idx::new(vec![1; 256], IdxData::U8(vec![0])).is_err());
    assert!(Idx::new(vec![usize::MAX, 2], IdxData::U8(vec![])).is_err());
}

#[test]
fn any_changed_byte_or_cut_is_an_error_or_other_pixels_of_the_same_shape() {
    let bytes = small();
    let right = parse(&bytes).unwrap();
    for end in 0..bytes.len() {
        refused(parse(&bytes[..end]), &["at byte"]);
    }
    for at in 0..bytes.len() {
        for flip in 1..=255 {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            match parse(&changed) {
                // From byte 12 on the bytes are pixels; the types u8 and i8 differ in one bit.
                Ok(idx) if at == 2 => assert_eq!(idx.data().type_name(), "i8"),
                Ok(idx) => {
                    assert!(at >= 12, "byte {at} ^ {flip:02x}");
                    assert_eq!(idx.dims(), right.dims());
                    assert_eq!(written(&idx), changed);
                }
                Err(e) => assert!(at < 12, "byte {at} ^ {flip:02x}: {e}"),
            }
        }
    }
}

#[cfg(not(feature = "gzip"))]
#[test]
fn gzip_needs_the_feature() {
    refused(parse(&[0x1f, 0x8b, 8, 0]), &["at byte 0", "decompress", "feature `gzip`"]);
}

#[cfg(feature = "gzip")]
mod gzip {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("a Vec takes every byte");
        encoder.finish().expect("a Vec takes every byte")
    }

    #[test]
    fn gzip_is_recognised_by_content_and_not_by_name() {
        let packed = gz(&small());
        assert_eq!(parse(&packed).unwrap(), parse(&small()).unwrap());
        let unknown = Idx::read_from(&packed[..], Path::new(NAME), None).unwrap();
        assert_eq!(unknown, parse(&small()).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("no-ending");
        std::fs::write(&path, packed).unwrap();
        assert_eq!(Idx::read(&path).unwrap(), parse(&small()).unwrap());
    }

    #[test]
    fn data_in_several_members_are_read() {
        let dims = [3, 1024, 1024];
        let pixels: Vec<u8> = (0..3 << 20).map(|i: u32| (i ^ (i >> 7)) as u8).collect();
        let idx = parse(&gz(&[header(8, &dims), pixels.clone()].concat())).unwrap();
        assert_eq!(*idx.data(), IdxData::U8(pixels));
    }

    #[test]
    fn members_are_joined_and_other_trailing_data_are_an_error() {
        let (a, b) = (small()[..7].to_vec(), small()[7..].to_vec());
        let two = [gz(&a), gz(&b)].concat();
        assert_eq!(parse(&two).unwrap(), parse(&small()).unwrap());
        let three = [two.clone(), gz(&[9])].concat();
        refused(parse(&three), &["at byte 18", "more data follow"]);
        for garbage in [&[0][..], &[0x1f], &[0x1f, 0x8b], b"garbage behind", &[0; 512]] {
            refused(parse(&[gz(&small()), garbage.to_vec()].concat()), &["at byte 18", "the gzip stream is"]);
        }
    }

    #[test]
    fn damage_is_an_error_with_its_offset() {
        let packed = gz(&small());
        refused(parse(&packed[..packed.len() - 1]), &["at byte 18", "cut off", "checksum"]);
        refused(parse(&packed[..5]), &["at byte 0", "cut off"]);
        let mut wrong_crc = packed.clone();
        wrong_crc[packed.len() - 8] ^= 1;
        refused(parse(&wrong_crc), &["at byte 18", "damaged", "checksum"]);
        let mut wrong_method = packed.clone();
        wrong_method[2] = 7;
        refused(parse(&wrong_method), &["at byte 0", "damaged"]);
        refused(parse(&gz(&small()[..16])), &["at byte 16", "the data end"]);
        refused(parse(&gz(&small()[..6])), &["at byte 6", "the content ends"]);
        refused(parse(&gz(&packed)), &["at byte 0", "found 1f 8b"]);
    }

    #[test]
    fn a_header_that_needs_more_data_than_the_file_can_hold_is_an_error() {
        let packed = gz(&header(8, &[1 << 21, 1 << 21]));
        let most = (packed.len() * 1032).to_string();
        refused(parse(&packed), &["at byte 4", "4398046511104 bytes of data", "hold at most", &most]);
        // Also if the length of the compressed file is not known.
        refused(Idx::read_from(&packed[..], Path::new(NAME), None), &["at byte 12", "the data end"]);
    }

    /// 64 MiB of zeros in 64 kB: the reader stops one byte after the end that the header states.
    #[test]
    fn a_gzip_bomb_is_not_decompressed_beyond_the_header() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&small()).unwrap();
        (0..64).for_each(|_| encoder.write_all(&[0; 1 << 20]).unwrap());
        let bomb = encoder.finish().unwrap();
        let mut reader = Counting(&bomb[..], 0);
        let result = Idx::read_from(&mut reader, Path::new(NAME), Some(bomb.len() as u64));
        refused(result, &["at byte 18", "more data follow"]);
        let asked = reader.1;
        assert!(asked < 40_000 && bomb.len() > 60_000, "{asked} of {}", bomb.len());
    }

    #[test]
    fn any_changed_byte_or_cut_is_an_error_or_the_same_data() {
        let packed = gz(&small());
        let right = parse(&small()).unwrap();
        for end in 0..packed.len() {
            refused(parse(&packed[..end]), &["at byte"]);
        }
        let mut same = 0;
        for at in 0..packed.len() {
            for flip in 1..=255 {
                let mut changed = packed.clone();
                changed[at] ^= flip;
                if let Ok(idx) = parse(&changed) {
                    assert_eq!(idx, right, "byte {at} ^ {flip:02x}");
                    same += 1;
                }
            }
        }
        // About 6 bytes have no effect: time stamp, flags and operating system.
        assert!(same < 8 * 255, "{same}");
    }
}

/// Reads MNIST if `MNIST_DIR` is set.
#[test]
#[cfg(feature = "gzip")] // the files are usually compressed
fn mnist_if_it_is_installed() {
    let Some(dir) = std::env::var_os("MNIST_DIR") else { return };
    let data = hardgrad::data::load_mnist(Path::new(&dir)).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (60_000, 10_000));
    assert_eq!(data.train.images().pixels_per_image(), 784);
    assert!(data.test.labels().unwrap().iter().all(|&l| l < 10));
}
