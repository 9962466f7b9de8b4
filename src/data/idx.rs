//! Files in the IDX format, the one MNIST comes in.
//!
//! An IDX file is two zero bytes, a byte for the element type, a byte for the rank, the dimensions as big-endian
//! `u32`, and the elements, big-endian, the last dimension running fastest. The reader trusts none of it: a damaged,
//! truncated, oversized or hostile file gives an [`Error`] with the place and what was expected there.

use crate::{Error, Result};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Data are read, and memory for them grows, in pieces of this many bytes.
const CHUNK: usize = 1 << 20;

/// The largest dimension list: 255 of 4 bytes.
const MAX_DIMS: usize = 255 * 4;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate cannot expand further than this: a length/distance pair takes at least two bits and stands for at most 258
/// bytes (<https://zlib.net/zlib_tech.html>, "Maximum Compression Factor").
const MAX_RATIO: u64 = 1032;

/// What is believed of a gzip file's promise: so many times its length, and [`TRUSTED`] more. Images compress 3 to 50 times.
const TRUSTED_RATIO: u64 = 100;

/// See [`TRUSTED_RATIO`]: so that a small file may be all zeros.
const TRUSTED: u64 = 16 << 20;

/// The elements of an [`Idx`], in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum IdxData {
    /// Type byte 0x08.
    U8(Vec<u8>),
    /// Type byte 0x09.
    I8(Vec<i8>),
    /// Type byte 0x0B.
    I16(Vec<i16>),
    /// Type byte 0x0C.
    I32(Vec<i32>),
    /// Type byte 0x0D.
    F32(Vec<f32>),
    /// Type byte 0x0E.
    F64(Vec<f64>),
}

impl IdxData {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the element type: `u8`, `i8`, `i16`, `i32`, `f32` or `f64`.
    pub fn type_name(&self) -> &'static str {
        self.element().name()
    }

    fn element(&self) -> Element {
        match self {
            Self::U8(_) => Element::U8,
            Self::I8(_) => Element::I8,
            Self::I16(_) => Element::I16,
            Self::I32(_) => Element::I32,
            Self::F32(_) => Element::F32,
            Self::F64(_) => Element::F64,
        }
    }

    fn from_be_bytes(element: Element, bytes: Vec<u8>) -> Self {
        match element {
            Element::U8 => Self::U8(bytes),
            Element::I8 => Self::I8(bytes.into_iter().map(u8::cast_signed).collect()),
            Element::I16 => Self::I16(decode(&bytes, i16::from_be_bytes)),
            Element::I32 => Self::I32(decode(&bytes, i32::from_be_bytes)),
            Element::F32 => Self::F32(decode(&bytes, f32::from_be_bytes)),
            Element::F64 => Self::F64(decode(&bytes, f64::from_be_bytes)),
        }
    }
}

fn decode<const N: usize, V>(bytes: &[u8], from: fn([u8; N]) -> V) -> Vec<V> {
    bytes.as_chunks::<N>().0.iter().map(|&b| from(b)).collect()
}

/// An element type; the discriminant is its type byte.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Element {
    U8 = 0x08,
    I8 = 0x09,
    I16 = 0x0b,
    I32 = 0x0c,
    F32 = 0x0d,
    F64 = 0x0e,
}

impl Element {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::U8, Self::I8, Self::I16, Self::I32, Self::F32, Self::F64]
            .into_iter()
            .find(|&e| e as u8 == byte)
    }

    fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// A tensor read from an IDX file: dimensions and elements, which always agree.
///
/// Rank 0 is one single element. A dimension may be 0; then there are no elements.
///
/// ```
/// use hardgrad::data::{Idx, IdxData};
/// let bytes = [0, 0, 0x08, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
/// let idx = Idx::parse(&bytes, "six.idx".as_ref())?;
/// assert_eq!(idx.dims(), [2, 3]);
/// assert_eq!(*idx.data(), IdxData::U8(vec![1, 2, 3, 4, 5, 6]));
/// let e = Idx::parse(&bytes[..17], "six.idx".as_ref()).unwrap_err().to_string();
/// assert!(e.starts_with("six.idx: at byte 17: "), "{e}");
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    dims: Vec<usize>,
    data: IdxData,
}

impl Idx {
    /// Puts dimensions and elements together.
    ///
    /// # Errors
    /// More than 255 dimensions, one above `u32::MAX`, or a product that is not the number of elements.
    pub fn new(dims: Vec<usize>, data: IdxData) -> Result<Self> {
        if dims.len() > 255 || dims.iter().any(|&d| u32::try_from(d).is_err()) {
            return Err(Error::argument("dims", list(&dims), "at most 255 of at most 4294967295 each"));
        }
        if product(&dims) != Some(data.len()) {
            return Err(Error::argument(
                "dims",
                list(&dims),
                format!("a product of {} elements", data.len()),
            ));
        }
        Ok(Self { dims, data })
    }

    /// The dimensions, slowest first.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The elements.
    pub fn data(&self) -> &IdxData {
        &self.data
    }

    /// Takes it apart without copying.
    pub fn into_parts(self) -> (Vec<usize>, IdxData) {
        (self.dims, self.data)
    }

    /// Reads a file, plain or gzip-compressed (told by its first two bytes, not by its name).
    ///
    /// A plain file's length must be exactly what the header promises, which is checked before memory for it is taken.
    /// A gzip file may promise 100 times its own length and 16 MiB: one that promises more is a bomb sooner than images, and is
    /// refused at its header. From a gzip file no more than twice what has really been inflated, plus 1 MiB, is ever reserved (three times
    /// while the buffer moves); several members one after another are one content, as RFC 1952 says, and anything else
    /// behind the last member is an error. Elements wider than a byte take their size once more for the conversion.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Format`] if it is not an IDX file, is shorter or longer than
    /// its header says, is a damaged gzip file, or does not fit in memory, and for every gzip file if the crate was
    /// built without the feature `gzip`.
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_dir() {
            let reason = "it is a directory; expected an IDX file";
            return Err(Error::io("read", path, io::Error::new(io::ErrorKind::IsADirectory, reason)));
        }
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let metadata = file.metadata().map_err(|e| Error::io("read", path, e))?;
        // The length of a pipe or device says nothing about its content.
        Self::read_from(file, path, metadata.is_file().then_some(metadata.len()))
    }

    /// Reads from anything that gives bytes. `path` is used in messages only. `len`, if known, is the number of bytes
    /// `reader` is expected to give (compressed, if it is gzip); a wrong one is an error, not a danger. Without it,
    /// memory for plain content grows in the same bounded way as for gzip.
    ///
    /// # Errors
    /// As [`Idx::read`].
    pub fn read_from(reader: impl Read, path: &Path, len: Option<u64>) -> Result<Self> {
        let mut source = Source { reader, path, offset: 0, compressed: false };
        let mut start = [0; 2];
        let n = source.read(&mut start)?;
        let reader = start[..n].chain(source.reader);
        if start == GZIP_MAGIC {
            return read_gzip(reader, path, len);
        }
        Source { reader, path, offset: 0, compressed: false }.idx(len, None)
    }

    /// Reads from bytes in memory; otherwise as [`Idx::read`].
    ///
    /// # Errors
    /// As [`Idx::read`].
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        Self::read_from(bytes, path, Some(bytes.len() as u64))
    }

    /// Writes it as an uncompressed IDX file. Unbuffered: give it a [`std::io::BufWriter`] around a file.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        writer.write_all(&[0, 0, self.data.element() as u8, self.dims.len() as u8])?;
        for &d in &self.dims {
            writer.write_all(&(d as u32).to_be_bytes())?;
        }
        match &self.data {
            IdxData::U8(v) => writer.write_all(v),
            IdxData::I8(v) => v.iter().try_for_each(|x| writer.write_all(&x.to_be_bytes())),
            IdxData::I16(v) => v.iter().try_for_each(|x| writer.write_all(&x.to_be_bytes())),
            IdxData::I32(v) => v.iter().try_for_each(|x| writer.write_all(&x.to_be_bytes())),
            IdxData::F32(v) => v.iter().try_for_each(|x| writer.write_all(&x.to_be_bytes())),
            IdxData::F64(v) => v.iter().try_for_each(|x| writer.write_all(&x.to_be_bytes())),
        }
    }
}

#[cfg(feature = "gzip")]
fn read_gzip(reader: impl Read, path: &Path, len: Option<u64>) -> Result<Idx> {
    let reader = flate2::read::MultiGzDecoder::new(reader);
    Source { reader, path, offset: 0, compressed: true }.idx(None, len)
}

#[cfg(not(feature = "gzip"))]
fn read_gzip(_: impl Read, path: &Path, _: Option<u64>) -> Result<Idx> {
    let problem = "found gzip data (1f 8b), expected plain IDX: decompress the file (gunzip), or build with the \
                   feature `gzip`";
    Err(Error::format(path, 0, problem))
}

/// The header: what the file says about itself.
struct Header {
    element: Element,
    dims: Vec<usize>,
    /// Size of the data in bytes; fits in an `isize`.
    bytes: usize,
}

impl Display for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}, {} bytes of data", list(&self.dims), self.element.name(), self.bytes)
    }
}

/// Uncompressed content being read, and how far.
struct Source<'a, R> {
    reader: R,
    path: &'a Path,
    offset: u64,
    /// Whether a reader's complaint may be about the gzip stream.
    compressed: bool,
}

impl<R: Read> Source<'_, R> {
    /// Reads everything. `plain` and `gzip` are the lengths of the uncompressed and of the compressed content, where
    /// known.
    fn idx(mut self, plain: Option<u64>, gzip: Option<u64>) -> Result<Idx> {
        let header = self.header()?;
        let mut data = Vec::new();
        if let Some(len) = plain {
            self.check_plain_length(&header, len)?;
            self.reserve(&mut data, header.bytes)?;
        }
        if let Some(len) = gzip {
            self.check_gzip_length(&header, len)?;
        }
        self.body(&mut data, &header)?;
        let end = self.offset;
        // For gzip this read is also the one that verifies the checksum.
        if self.read(&mut [0])? != 0 {
            return Err(
                self.problem(end, format!("more data follow, expected the end: the header says {header}"))
            );
        }
        Ok(Idx { data: IdxData::from_be_bytes(header.element, data), dims: header.dims })
    }

    fn header(&mut self) -> Result<Header> {
        let mut magic = [0; 4];
        self.fill(&mut magic, "the magic number (00 00, element type, rank)")?;
        let [z0, z1, kind, rank] = magic;
        if [z0, z1] != [0, 0] {
            let found = format!("found {z0:02x} {z1:02x}, expected the 00 00 an IDX file starts with");
            return Err(self.problem(0, found));
        }
        let Some(element) = Element::from_byte(kind) else {
            let expected = "08 (u8), 09 (i8), 0b (i16), 0c (i32), 0d (f32) or 0e (f64)";
            return Err(self.problem(2, format!("found element type {kind:02x}, expected {expected}")));
        };
        let mut buffer = [0; MAX_DIMS];
        let dims = &mut buffer[..4 * usize::from(rank)];
        self.fill(dims, &format!("{rank} dimensions of 4 bytes"))?;
        let dims: Vec<usize> = decode(dims, |b| u32::from_be_bytes(b) as usize);
        let bytes = product(&dims).and_then(|n| n.checked_mul(element.size()));
        let Some(bytes) = bytes.filter(|&b| isize::try_from(b).is_ok()) else {
            let found = format!("found dimensions {} of {}", list(&dims), element.name());
            return Err(self.problem(4, format!("{found}, expected at most {} bytes of data", isize::MAX)));
        };
        Ok(Header { element, dims, bytes })
    }

    fn check_plain_length(&self, header: &Header, len: u64) -> Result<()> {
        let expected = self.offset + header.bytes as u64;
        if len == expected {
            return Ok(());
        }
        let problem = format!("found a length of {len} bytes, expected {expected}: the header says {header}");
        Err(self.problem(len.min(expected), problem))
    }

    fn check_gzip_length(&self, header: &Header, len: u64) -> Result<()> {
        let end = self.offset + header.bytes as u64;
        let most = len.saturating_mul(MAX_RATIO);
        if end > most {
            let holds = format!("{len} bytes of gzip hold at most {most}");
            return Err(self.problem(4, format!("the header says {header}, but {holds}")));
        }
        let most = len.saturating_mul(TRUSTED_RATIO).saturating_add(TRUSTED);
        if end > most {
            let holds = format!("{len} bytes of gzip are taken to hold at most {most}");
            let mend = "if the file is what it should be, decompress it (gunzip)";
            return Err(self.problem(4, format!("the header says {header}, but {holds}: {mend}")));
        }
        Ok(())
    }

    /// Reads the data piece by piece, so that memory follows what is really there.
    fn body(&mut self, data: &mut Vec<u8>, header: &Header) -> Result<()> {
        while data.len() < header.bytes {
            let have = data.len();
            let piece = CHUNK.min(header.bytes - have);
            self.reserve(data, piece)?;
            data.resize(have + piece, 0);
            if self.read(&mut data[have..])? < piece {
                return Err(self
                    .problem(self.offset, format!("the data end, expected more: the header says {header}")));
            }
        }
        // Doubling leaves up to half of the buffer unused.
        data.shrink_to_fit();
        Ok(())
    }

    /// Room for `more` bytes, or an error instead of the abort that a plain allocation ends in.
    fn reserve(&self, data: &mut Vec<u8>, more: usize) -> Result<()> {
        data.try_reserve(more).map_err(|_| {
            self.problem(
                self.offset,
                format!("no memory for {more} bytes more than the {} so far", data.len()),
            )
        })
    }

    /// Fills `buffer`, or fails if the content ends first.
    fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<()> {
        let n = self.read(buffer)?;
        if n == buffer.len() {
            return Ok(());
        }
        Err(self.problem(
            self.offset,
            format!("the content ends, expected {} more bytes of {what}", buffer.len() - n),
        ))
    }

    /// Reads until `buffer` is full or the content ends; returns how many bytes it got.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => {
                    filled += n;
                    self.offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.read_error(e)),
            }
        }
        Ok(filled)
    }

    fn read_error(&self, error: io::Error) -> Error {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match error.kind() {
            UnexpectedEof if self.compressed => {
                self.problem(self.offset, "the gzip stream is cut off: expected its end and its checksum")
            }
            InvalidData | InvalidInput if self.compressed => self.problem(
                self.offset,
                format!("the gzip stream is damaged, or other data follow it ({error})"),
            ),
            _ => Error::io("read", self.path, error),
        }
    }

    fn problem(&self, offset: u64, problem: impl Into<String>) -> Error {
        Error::format(self.path, offset, problem)
    }
}

/// The product; 0 if any factor is, even if the others overflow.
fn product(dims: &[usize]) -> Option<usize> {
    if dims.contains(&0) {
        return Some(0);
    }
    dims.iter().try_fold(1, |n: usize, &d| n.checked_mul(d))
}

/// `60000×28×28`, cut after eight numbers; `scalar` for rank 0.
fn list(dims: &[usize]) -> String {
    if dims.is_empty() {
        return "scalar".into();
    }
    let shown: Vec<String> = dims.iter().take(8).map(usize::to_string).collect();
    let rest = if dims.len() > 8 { format!("×… (rank {})", dims.len()) } else { String::new() };
    shown.join("×") + &rest
}
