//! Weights in `.safetensors` files with PyTorch's names and layout, so that PyTorch and this crate
//! read each other's files (feature `safetensors`).
//!
//! In the file, `{layer}.weight` is `[outputs, inputs]`, the transpose of the weight of
//! [`Linear`](crate::nn::Linear), and `{layer}.bias` is `[outputs]`; any other parameter has the
//! shape of its matrix in the store. Numbers are `F32`. The VAE's layers are `encoder.0`,
//! `encoder.1`, … and `decoder.0`, …, which correspond to an `nn.ModuleList` of `nn.Linear`, with
//! ReLU between them:
//!
//! ```text
//! class Vae(nn.Module):
//!     def __init__(self, sizes):                                    # [784, 512, 256, 32]
//!         super().__init__()
//!         def layers(s): return nn.ModuleList(nn.Linear(a, b) for a, b in zip(s, s[1:]))
//!         self.encoder, self.decoder = layers(sizes), layers(sizes[::-1])
//! vae.load_state_dict(safetensors.torch.load_file("vae.safetensors"))
//! ```
//!
//! A file is read completely or not at all: all names, shapes and numbers are checked before any
//! parameter is changed.

use super::write_atomically;
use crate::error::{Error, Result};
use crate::params::{ParamId, ParamStore};
use ::safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Maximum length of a file's header in bytes: enough for some thousand names.
const MAX_HEADER: usize = 1 << 20;

/// Encodes the parameters. The bytes are a function of the parameters.
///
/// ```
/// use hardgrad::files::weights;
/// use hardgrad::{Mat, ParamStore};
/// let mut params = ParamStore::new();
/// let matrix = Mat::from_rows(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// let w = params.add("net.0.weight", matrix);
/// let bytes = weights::to_bytes(&params);
/// let header = br#"{"net.0.weight":{"dtype":"F32","shape":[2,3]"#;
/// assert!(bytes[8..].starts_with(header) && bytes.ends_with(&6.0_f32.to_le_bytes()));
/// params.flat_mut().fill(0.0);
/// weights::from_bytes(&mut params, &bytes, "net.safetensors".as_ref())?;
/// assert_eq!(params.get(w).row(2), [5.0, 6.0]);
/// # Ok::<(), hardgrad::Error>(())
/// ```
pub fn to_bytes(params: &ParamStore<f32>) -> Vec<u8> {
    let stored: Vec<(&str, Vec<usize>, Vec<u8>)> = params
        .iter()
        .map(|(name, id)| {
            let mut bytes = Vec::with_capacity(4 * params.get(id).data.len());
            for index in order(name, id) {
                bytes.extend_from_slice(&params.get(id).data[index].to_le_bytes());
            }
            (name, shape(name, id), bytes)
        })
        .collect();
    let views = stored.iter().map(|(name, shape, bytes)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many bytes as the shape has"))
    });
    safetensors::serialize(views, None).expect("names and shapes always make a header")
}

/// Overwrites all of `params` with the weights in `bytes`. `path` is used in messages only.
///
/// # Errors
/// [`Error::Format`] if `bytes` is not a `.safetensors` file, if its tensors differ from `params`
/// in a name or a shape, or if a number is not finite. After an error `params` is unchanged.
pub fn from_bytes(params: &mut ParamStore<f32>, bytes: &[u8], path: &Path) -> Result<()> {
    let wrong = |problem: String| Err(Error::format(path, 0, problem));
    let file = match SafeTensors::deserialize(bytes) {
        Ok(file) => file,
        Err(e) => return wrong(format!("not a complete .safetensors file: {e}")),
    };
    let mut unknown: Vec<_> = file.names();
    unknown.retain(|name| params.iter().all(|(known, _)| known != *name));
    unknown.sort_unstable();
    if let Some(name) = unknown.first() {
        return wrong(format!("found a tensor `{name}`, expected only {}", names(params)));
    }
    let mut values = vec![0.0; params.flat().len()];
    let mut start = 0;
    for (name, id) in params.iter() {
        let Ok(tensor) = file.tensor(name) else {
            return wrong(format!("found no tensor `{name}`, expected {}", names(params)));
        };
        let (found, expected) = (tensor.shape(), shape(name, id));
        if tensor.dtype() != Dtype::F32 || found != expected {
            let dtype = tensor.dtype();
            return wrong(format!("`{name}`: found {dtype:?} {found:?}, expected F32 {expected:?}"));
        }
        for (index, number) in order(name, id).zip(tensor.data().as_chunks().0) {
            let number = f32::from_le_bytes(*number);
            if !number.is_finite() {
                return wrong(format!("`{name}`: found {number}, expected finite numbers"));
            }
            values[start + index] = number;
        }
        start += id.shape().0 * id.shape().1;
    }
    params.flat_mut().copy_from_slice(&values);
    Ok(())
}

/// Writes the weights to a file, which is replaced atomically.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save(params: &ParamStore<f32>, path: &Path) -> Result<()> {
    write_atomically(path, &to_bytes(params))
}

/// Overwrites all of `params` with the weights in a file. At most the length of these weights and
/// of a 1 MiB header is read.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; otherwise as for [`from_bytes`].
pub fn load(params: &mut ParamStore<f32>, path: &Path) -> Result<()> {
    let most = 8 + MAX_HEADER + 4 * params.flat().len();
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    if bytes.len() > most {
        let problem = format!("the file is longer, expected at most {most} bytes for {}", names(params));
        return Err(Error::format(path, most as u64, problem));
    }
    from_bytes(params, &bytes, path)
}

/// The shape of a parameter in PyTorch.
fn shape(name: &str, id: ParamId) -> Vec<usize> {
    let (rows, cols) = id.shape();
    match () {
        () if name.ends_with(".weight") => vec![cols, rows],
        () if name.ends_with(".bias") && rows == 1 => vec![cols],
        () => vec![rows, cols],
    }
}

/// The indices in this store of PyTorch's numbers, in PyTorch's order.
fn order(name: &str, id: ParamId) -> impl Iterator<Item = usize> {
    let (rows, cols) = id.shape();
    let transposed = name.ends_with(".weight");
    (0..rows * cols).map(move |k| if transposed { k % rows * cols + k / rows } else { k })
}

/// Names and shapes as text, for messages.
fn names(params: &ParamStore<f32>) -> String {
    let all: Vec<_> = params.iter().map(|(name, id)| format!("`{name}` {:?}", shape(name, id))).collect();
    all.join(", ")
}
