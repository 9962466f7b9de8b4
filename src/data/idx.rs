//! Files in the IDX format, the format of MNIST.
//!
//! An IDX file consists of two zero bytes, a byte for the element type, a byte for the rank, the
//! dimensions as big-endian `u32`, and the big-endian elements, with the last dimension varying
//! fastest. The reader validates all of these: a damaged, truncated, oversized or malicious file
//! gives an [`Error`] with the position of the problem and what was expected there.

use crate::{Error, Result};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Data are read in pieces of this many bytes, and the buffer grows by as much.
const CHUNK: usize = 1 << 20;

/// Length in bytes of the longest dimension list: 255 dimensions of 4 bytes.
const MAX_DIMS: usize = 255 * 4;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The maximum compression ratio of deflate: a length/distance pair takes at least two bits and
/// represents at most 258 bytes (<https://zlib.net/zlib_tech.html>, "Maximum Compression Factor").
const MAX_RATIO: u64 = 1032;

/// The reader accepts a gzip file whose header announces up to this many times its own length, plus
/// [`ACCEPTED`]. Images are compressed by a factor of 3 to 50.
const ACCEPTED_RATIO: u64 = 100;

/// See [`ACCEPTED_RATIO`]. The constant allows small files that consist of zeros only.
const ACCEPTED: u64 = 16 << 20;

/// Elements of an [`Idx`], in row-major order.
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

/// An element type. The discriminant is the type byte of the format.
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

/// A tensor from an IDX file: dimensions and a matching number of elements.
///
/// A tensor of rank 0 has one element. A dimension may be 0; then there are no elements.
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
    /// Creates a tensor from dimensions and elements.
    ///
    /// # Errors
    /// If there are more than 255 dimensions, a dimension exceeds `u32::MAX`, or the product of the
    /// dimensions is not the number of elements.
    pub fn new(dims: Vec<usize>, data: IdxData) -> Result<Self> {
        if dims.len() > 255 || dims.iter().any(|&d| u32::try_from(d).is_err()) {
            return Err(Error::argument(
                "dims",
                list(&dims),
                "at most 255 dimensions of at most 4294967295 each",
            ));
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

    /// The dimensions; the first varies slowest.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The elements.
    pub fn data(&self) -> &IdxData {
        &self.data
    }

    /// Returns dimensions and elements without copying.
    pub fn into_parts(self) -> (Vec<usize>, IdxData) {
        (self.dims, self.data)
    }

    /// Reads a file that is plain or gzip-compressed. The first two bytes determine which, not the
    /// name.
    ///
    /// The length of a plain file must be exactly the length in its header. This is checked before
    /// memory is allocated. The header of a gzip file may announce up to 100 times the file's own
    /// length plus 16 MiB; more indicates a decompression bomb and is an error, which is detected
    /// at the header. For a gzip file at most twice the number of bytes inflated so far plus 1 MiB
    /// is reserved (three times while the buffer is moved). Several consecutive gzip members are
    /// one content, according to RFC 1952; any other data after the last member are an error.
    /// Elements wider than a byte need their size a second time for the conversion.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Format`] if it is not an IDX file, is
    /// shorter or longer than its header says, is a damaged gzip file, or does not fit into memory,
    /// and for every gzip file if the crate was built without the feature `gzip`.
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_dir() {
            let reason = "it is a directory; expected an IDX file";
            return Err(Error::io("read", path, io::Error::new(io::ErrorKind::IsADirectory, reason)));
        }
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let metadata = file.metadata().map_err(|e| Error::io("read", path, e))?;
        // The length of a pipe or device is not that of its content.
        Self::read_from(file, path, metadata.is_file().then_some(metadata.len()))
    }

    /// Reads from any source of bytes. `path` is used in messages only. `len`, if known, is the
    /// number of bytes that `reader` is expected to return (compressed, if it is gzip); a wrong
    /// value causes an error and nothing else. Without it, memory for plain content grows in steps
    /// as for gzip.
    ///
    /// # Errors
    /// As for [`Idx::read`].
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

    /// Reads from bytes in memory; otherwise like [`Idx::read`].
    ///
    /// # Errors
    /// As for [`Idx::read`].
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        Self::read_from(bytes, path, Some(bytes.len() as u64))
    }

    /// Writes an uncompressed IDX file. The output is not buffered: pass a [`std::io::BufWriter`]
    /// around a file.
    ///
    /// # Errors
    /// The errors of `writer`.
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

/// The header of a file.
struct Header {
    element: Element,
    dims: Vec<usize>,
    /// Size of the data in bytes, at most `isize::MAX`.
    bytes: usize,
}

impl Display for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}, {} bytes of data", list(&self.dims), self.element.name(), self.bytes)
    }
}

/// Uncompressed content that is being read, and the current position.
struct Source<'a, R> {
    reader: R,
    path: &'a Path,
    offset: u64,
    /// Whether an error of the reader may come from the gzip stream.
    compressed: bool,
}

impl<R: Read> Source<'_, R> {
    /// Reads the whole content. `plain` and `gzip` are the lengths of the uncompressed and of the
    /// compressed content, if known.
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
        // For gzip, this read also verifies the checksum.
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
            let found = format!("found {z0:02x} {z1:02x}, expected the 00 00 with which an IDX file starts");
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
        let most = len.saturating_mul(ACCEPTED_RATIO).saturating_add(ACCEPTED);
        if end > most {
            let holds = format!("for {len} bytes of gzip at most {most} are accepted");
            let remedy = "if the file is intact, decompress it (gunzip)";
            return Err(self.problem(4, format!("the header says {header}, but {holds}: {remedy}")));
        }
        Ok(())
    }

    /// Reads the data in pieces, so that the allocated memory follows the length of the actual
    /// data.
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
        // The buffer grows by doubling, which leaves up to half of it unused.
        data.shrink_to_fit();
        Ok(())
    }

    /// Reserves room for `more` bytes. Returns an error instead of the abort of an ordinary
    /// allocation.
    fn reserve(&self, data: &mut Vec<u8>, more: usize) -> Result<()> {
        data.try_reserve(more).map_err(|_| {
            self.problem(
                self.offset,
                format!("cannot allocate {more} bytes in addition to the {} read so far", data.len()),
            )
        })
    }

    /// Fills `buffer`; an error if the content ends first.
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

    /// Reads until `buffer` is full or the content ends, and returns the number of bytes read.
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

/// The product of the dimensions; 0 if any dimension is 0, even if the product of the others
/// overflows.
fn product(dims: &[usize]) -> Option<usize> {
    if dims.contains(&0) {
        return Some(0);
    }
    dims.iter().try_fold(1, |n: usize, &d| n.checked_mul(d))
}

/// The dimensions as text, such as `60000×28×28`. At most eight numbers are listed; rank 0 is
/// `scalar`.
fn list(dims: &[usize]) -> String {
    if dims.is_empty() {
        return "scalar".into();
    }
    let shown: Vec<String> = dims.iter().take(8).map(usize::to_string).collect();
    let rest = if dims.len() > 8 { format!("×… (rank {})", dims.len()) } else { String::new() };
    shown.join("×") + &rest
}
